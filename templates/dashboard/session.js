// The page of one session.
import { drawChart } from "./chart.js";
import { CHANNEL_COLUMNS, sessionAbout, sessionFigures } from "./columns.js";
import { follow, page, rows, write, writeFigures } from "./live.js";
import { Table } from "./table.js";
import "./theme.js";

const HEAD = "session";
const table = new Table(document.getElementById("channels"), CHANNEL_COLUMNS, {
  sort: "channel",
  down: false,
  keys: () => [...rows.keys()].filter((key) => key !== HEAD),
});
const notes = document.getElementById("notes");
const button = document.getElementById("release");
const dialog = document.getElementById("release-dialog");
const outcome = document.getElementById("outcome");

function show(at) {
  const row = rows.get(HEAD);
  if (!row) {
    write(outcome, "This session is over.");
    button?.remove();
    dialog?.close();
    return;
  }
  // Of a session that is moved, listeners and node are others.
  write(document.getElementById("about"), sessionAbout(row, at));
  writeFigures(sessionFigures(row));
  const all = [row.reason, row.error, ...row.warnings].filter(Boolean);
  if (notes.children.length !== all.length) {
    notes.replaceChildren(...all.map(() => document.createElement("li")));
  }
  all.forEach((text, i) => write(notes.children[i], text));
  table.show(at);
  drawChart(at);
}
show(page.at);
follow(show);

button?.addEventListener("click", () => dialog.showModal());
dialog?.addEventListener("close", async () => {
  if (dialog.returnValue !== "release") return;
  dialog.returnValue = "";
  const force = dialog.querySelector("input[name=force]:checked").value === "true";
  write(outcome, "Being released…");
  try {
    const response = await fetch(page.release, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ force }),
    });
    write(outcome, response.ok ? "This session is over." : await response.text());
  } catch {
    write(outcome, "The gateway did not answer; look at the list of sessions.");
  }
});
