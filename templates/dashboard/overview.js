// The page of all sessions.
import { drawChart } from "./chart.js";
import { figures, sessionColumns } from "./columns.js";
import { follow, page, rows, writeFigures } from "./live.js";
import { Table } from "./table.js";
import "./theme.js";
import { drawTopology } from "./topology.js";

const table = new Table(document.getElementById("sessions"), sessionColumns(page), {
  sort: "created",
  down: false,
  keys: () => [...rows.keys()],
});

function show(at) {
  writeFigures(figures([...rows.values()]));
  table.show(at);
  drawTopology();
  drawChart(at);
}
show(page.at);
follow(show);
