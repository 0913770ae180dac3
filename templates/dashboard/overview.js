// The page of all sessions.
import { drawChart } from "./chart.js";
import { figures, SESSION_COLUMNS } from "./columns.js";
import { follow, page, rows, writeFigures } from "./live.js";
import { Table } from "./table.js";
import "./theme.js";
import { drawTopology } from "./topology.js";

const columns = SESSION_COLUMNS.filter(({ key }) => page.owners || key !== "owner");
const table = new Table(document.getElementById("sessions"), columns, {
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
