// A table of which only one page of rows is there: filtered, sorted, changed in place.
import { rows, write } from "./live.js";

const PAGE = 25;

/** Of a table that the server has written the first page of. */
export class Table {
  #columns;
  #table;
  #body;
  #keys;
  #byKey = new Map();
  #order = [];
  #sort = { key: "", down: false };
  #words = [];
  #page = 0;
  #now = Date.now();

  /**
   * @param {HTMLTableElement} table
   * @param {import("./columns.js").Column[]} columns
   * @param {{ sort: string, down: boolean, keys: () => string[] }} options
   */
  constructor(table, columns, { sort, down, keys }) {
    this.#table = table;
    this.#body = table.tBodies[0];
    this.#columns = columns;
    this.#keys = keys;
    this.#sort = { key: sort, down };
    for (const row of this.#body.rows) this.#byKey.set(row.dataset.key, row);
    for (const button of table.tHead.querySelectorAll("button")) {
      button.addEventListener("click", () => this.#sortBy(button.dataset.key));
    }
    const near = table.closest("section");
    const filter = near.querySelector("input[type=search]");
    filter?.addEventListener("input", () => {
      this.#words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
      this.#page = 0;
      this.show(this.#now, true);
    });
    this.count = near.querySelector(".count");
    this.pages = near.querySelectorAll(".pages button");
    this.pages.forEach((button, i) =>
      button.addEventListener("click", () => {
        this.#page += i === 0 ? -1 : 1;
        this.show(this.#now, true);
      })
    );
  }

  /**
   * @param {number} now
   * @param {boolean} [asked] whether somebody asked for it: else the order holds still while somebody
   *   is in the table, so that nobody opens what has just moved there
   */
  show(now, asked = false) {
    this.#now = now;
    const isBusy = !asked && this.#body.matches(":focus-within, :hover");
    const keys = this.#keys();
    const fit = keys.filter((key) => this.#fits(rows.get(key)));
    if (isBusy) {
      const there = new Set(fit);
      const known = new Set(this.#order);
      this.#order = [
        ...this.#order.filter((key) => there.has(key)),
        ...fit.filter((key) => !known.has(key)),
      ];
    } else {
      this.#order = this.#sorted(fit);
    }
    const last = Math.max(0, Math.ceil(this.#order.length / PAGE) - 1);
    this.#page = Math.min(Math.max(0, this.#page), last);
    const first = this.#page * PAGE;
    const shown = this.#order.slice(first, first + PAGE);
    this.#place(shown);
    const span = shown.length < this.#order.length
      ? `${first + 1}–${first + shown.length} of `
      : "";
    const filtered = fit.length < keys.length ? `, ${keys.length} without the filter` : "";
    write(this.count, `${span}${this.#order.length}${filtered}`);
    this.pages[0].parentElement.hidden = last === 0;
    this.pages.forEach((button, i) =>
      button.disabled = i === 0 ? this.#page === 0 : this.#page === last
    );
    for (const header of this.#table.tHead.rows[0].cells) {
      const key = header.dataset.key;
      if (key === this.#sort.key) {
        header.setAttribute("aria-sort", this.#sort.down ? "descending" : "ascending");
      } else header.removeAttribute("aria-sort");
    }
  }

  #sortBy(key) {
    const { kind } = this.#columns.find((column) => column.key === key);
    const down = this.#sort.key === key ? !this.#sort.down : kind === "number";
    this.#sort = { key, down };
    this.#page = 0;
    this.show(this.#now, true);
  }

  #fits(row) {
    if (this.#words.length === 0) return true;
    const text = this.#columns.map((column) => column.text(row, this.#now)).join(" ").toLowerCase();
    return this.#words.every((word) => text.includes(word));
  }

  #sorted(keys) {
    const { key, down } = this.#sort;
    const { by } = this.#columns.find((column) => column.key === key);
    const sign = down ? -1 : 1;
    const values = new Map(keys.map((each) => [each, by(rows.get(each))]));
    return [...keys].sort((a, b) => {
      const [x, y] = [values.get(a), values.get(b)];
      return (x < y ? -1 : x > y ? 1 : 0) * sign;
    });
  }

  #place(shown) {
    const wanted = new Set(shown);
    for (const [key, row] of this.#byKey) {
      if (wanted.has(key)) continue;
      // Who was there with the keyboard goes on from the table, and not from the page's beginning.
      if (row.contains(document.activeElement)) this.#table.focus();
      row.remove();
      this.#byKey.delete(key);
    }
    shown.forEach((key, i) => {
      const row = this.#byKey.get(key) ?? this.#make(key);
      if (this.#body.rows[i] !== row) this.#body.insertBefore(row, this.#body.rows[i] ?? null);
      this.#columns.forEach((column, j) => this.#write(column, row.cells[j], rows.get(key)));
    });
  }

  #make(key) {
    const row = document.createElement("tr");
    row.dataset.key = key;
    for (const { kind, narrow } of this.#columns) {
      const cell = row.appendChild(document.createElement("td"));
      cell.className = `${kind}${narrow ? "" : " wide"}`;
      if (kind === "link") {
        cell.appendChild(document.createElement("a")).href = `/sessions/${key}`;
      }
    }
    this.#byKey.set(key, row);
    return row;
  }

  #write({ kind, text }, cell, row) {
    const value = text(row, this.#now);
    if (kind === "link") return write(cell.firstElementChild, value);
    if (kind === "state" && cell.dataset.state !== value) cell.dataset.state = value;
    write(cell, value);
    if (kind === "text" && value.length > 24 && cell.title !== value) cell.title = value;
  }
}
