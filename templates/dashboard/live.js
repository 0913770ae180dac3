// What the server tells: first as a part of the page, then by server-sent events.

/** Before a lost connection is tried again. */
const AGAIN_MS = 3000;
/** Moments that the chart goes back: five minutes. */
const PAST_MS = 300_000;

/** What the page came with. */
export const page = JSON.parse(document.getElementById("data")?.textContent ?? "{}");

/** Rows by their key, as they are now. */
export const rows = new Map(Object.entries(page.rows));

/** @type {{ at: number[], to: number[], from: number[] }} */
export const past = page.past;

/**
 * Calls `show` with each thing that is told, whole.
 * @param {(at: number) => void} show
 */
export function follow(show) {
  const status = document.getElementById("live");
  const say = (text, isLive) => {
    if (!status || status.textContent === text) return;
    status.textContent = text;
    status.dataset.live = String(isLive);
  };
  let source;
  let isOver = false;
  const connect = () => {
    source = new EventSource(page.events);
    source.onopen = () => say("Live", true);
    source.onmessage = ({ data }) => take(JSON.parse(data), show);
    source.addEventListener("over", () => {
      isOver = true;
      source.close();
      if (page.session) say("Over", false);
      else location.reload();
    });
    source.onerror = () => {
      if (isOver) return;
      say("Connection lost, trying again", false);
      if (source.readyState === EventSource.CLOSED) setTimeout(connect, AGAIN_MS);
    };
  };
  connect();
  // A page that is kept in memory after it was left must not hold a connection.
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", ({ persisted }) => persisted && connect());
}

function take(told, show) {
  if (told.first) rows.clear();
  for (const [key, fields] of Object.entries(told.rows)) {
    rows.set(key, { ...rows.get(key), ...fields });
  }
  for (const key of told.gone) rows.delete(key);
  if (told.at > (past.at.at(-1) ?? 0)) {
    past.at.push(told.at);
    past.to.push(told.to);
    past.from.push(told.from);
    while (past.at[0] < told.at - PAST_MS) {
      for (const list of [past.at, past.to, past.from]) list.shift();
    }
  }
  // Nobody sees what a page in the background draws; it catches up when it is looked at.
  if (!document.hidden) requestAnimationFrame(() => show(told.at));
}

/**
 * Writes only what has changed.
 * @param {Element | null | undefined} element
 * @param {string} text
 */
export function write(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

/** @param {{ name: string, value: string, text: string }[]} figures */
export function writeFigures(figures) {
  for (const { name, value, text } of figures) {
    const figure = document.getElementById(`figure-${name}`);
    write(figure?.querySelector("dd"), value);
    write(figure?.querySelector("dd + dd"), text);
  }
}
