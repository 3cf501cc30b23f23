// Exchanges as rows: the columns, and how each cell is filled. The table and the list of the newest share them.
import { h, say } from "./dom.js";
import { clock, count, dated, duration, story, title, usd, verdict } from "./format.js";

/** A column: its class, its heading, what the heading means, how a cell is filled. */
export const COLUMNS = [
  ["time", "Started", "When the request was received", (cell, row) => link(cell, row)],
  ["model", "Model", "As requested, else as answered", (cell, row) => (say(cell, title(row)), (cell.title = `${row.method ?? ""} ${row.path ?? ""}`), cell.classList.toggle("none", !row.model))],
  ["upstream", "Upstream", "Who answered", (cell, row) => say(cell, row.upstream)],
  ["route", "Route", "The template of its path", (cell, row) => (say(cell, row.route?.replace(/^\/v1\//, "")), (cell.title = row.route ?? ""))],
  ["status n", "Status", "HTTP status", (cell, row) => (say(cell, row.status), (cell.dataset.kind = row.status >= 400 ? "bad" : ""))],
  ["shape", "Shape", "The wait for the first token, then the rest; to the scale of the rows in view", () => {}],
  ["ttft n", "TTFT", "Time to first token, from the last byte of the request", (cell, row) => say(cell, duration(row.time_to_first_token_ms))],
  ["tpot n", "TPOT", "Time per output token after the first", (cell, row) => say(cell, duration(row.time_per_output_token_ms))],
  ["duration n", "Duration", "From the request to the end", (cell, row) => say(cell, duration(row.duration_ms))],
  ["chunks n", "Chunks", "Events with generated output", (cell, row) => say(cell, count(row.chunks))],
  ["in n", "In", "Input tokens", (cell, row) => tokens(cell, row.input_tokens, row)],
  ["out n", "Out", "Output tokens", (cell, row) => tokens(cell, row.output_tokens, row)],
  ["cached n", "Cached", "Input tokens that a cache served", (cell, row) => say(cell, count(row.cached_tokens))],
  ["cost n", "Cost", "In USD", (cell, row) => say(cell, row.cost_usd !== null && row.tokens_estimated ? `~${usd(row.cost_usd)}` : usd(row.cost_usd))],
  ["turn", "Turn", "Turn of its conversation, as inferred", (cell, row) => conversation(cell, row)],
  ["end", "End", "How it ended, and what went wrong", (cell, row) => (say(cell, row.error ?? story(row)), (cell.title = story(row)), (cell.dataset.kind = verdict(row)))],
];

function link(cell, row) {
  cell.firstChild ?? cell.append(h("a", { tabindex: "-1" }));
  say(cell.firstChild, clock(row.started_at_ms));
  cell.firstChild.href = `#/exchange/${row.id}`;
  cell.firstChild.title = dated(row.started_at_ms);
}

function tokens(cell, n, row) {
  say(cell, n === null || n === undefined ? "" : `${row.tokens_estimated ? "~" : ""}${count(n)}`);
  cell.title = n !== null && row.tokens_estimated ? "estimated" : "";
}

function conversation(cell, row) {
  cell.firstChild ?? cell.append(h("a", { tabindex: "-1" }));
  const known = Boolean(row.conversation);
  cell.firstChild.hidden = !known;
  if (!known) return;
  say(cell.firstChild, row.turn === null ? "·" : `${row.conversation.slice(0, 4)}·${row.turn}`);
  cell.firstChild.href = `#/conversation/${encodeURIComponent(row.conversation)}`;
  cell.firstChild.title = `conversation ${row.conversation}`;
}

/** A row's element with its cells. */
export function rowElement(role = "row", cellRole = "gridcell") {
  const cells = COLUMNS.map(([kind]) => h("span", { class: `c ${kind}`, role: cellRole }));
  const shape = cells[COLUMNS.findIndex(([kind]) => kind === "shape")];
  const bar = h("i", { class: "rest" });
  const wait = h("i", { class: "wait" });
  shape.append(wait, bar);
  shape.setAttribute("aria-label", "");
  const element = h("div", { class: "row", role }, cells);
  return {
    element,
    /** Fills it; `scale` is the duration in ms that the whole width of a shape stands for. */
    fill(row, scale) {
      COLUMNS.forEach(([, , , fill], at) => fill(cells[at], row));
      element.dataset.kind = verdict(row);
      this.shape(row, scale);
    },
    shape(row, scale) {
      // The root keeps a call of 100 ms visible beside one of a minute.
      const whole = Math.min(1, Math.sqrt((row.duration_ms ?? 0) / scale));
      // What came whole, or never, has no first token.
      const share = row.duration_ms ? Math.min(1, (row.time_to_first_token_ms ?? 0) / row.duration_ms) : 0;
      bar.className = row.time_to_first_token_ms === null ? "rest whole" : "rest";
      wait.style.setProperty("inline-size", `${(whole * share * 100).toFixed(2)}%`);
      bar.style.setProperty("inline-size", `${(whole * (1 - share) * 100).toFixed(2)}%`);
    },
  };
}

/** The headings of a table. */
export const headings = () =>
  h("div", { class: "row head", role: "row" }, COLUMNS.map(([kind, name, meaning]) => h("span", { class: `c ${kind}`, role: "columnheader", title: meaning }, name)));

/** The scale of shapes: what nearly all rows stay below. */
export function scaleOf(rows) {
  const durations = rows.map((row) => row.duration_ms ?? 0).sort((a, b) => a - b);
  return Math.max(1000, durations[Math.floor(durations.length * 0.98)] ?? 0);
}

/**
 * Rows of which each leads to the place of its first link: by a click, and by the focus, which `j` and `k` move, the arrows too once
 * it is there. `keep(draw)` has the focus stay with its row while rows are drawn anew, which they are not under a pointer that is
 * pressed: the click would be lost, or lead elsewhere.
 */
export function leading(body) {
  const links = () => [...body.children].map((row) => row.querySelector("a")).filter(Boolean);
  body.addEventListener("click", (event) => {
    if (event.target.closest("a") || getSelection().toString()) return;
    const row = [...body.children].find((one) => one.contains(event.target));
    const link = row?.querySelector("a");
    if (link) location.hash = link.hash;
  });
  let held = 0;
  const keep = (draw) => {
    clearTimeout(held);
    if (body.matches(":active")) return (held = setTimeout(() => keep(draw), 50));
    const href = body.contains(document.activeElement) ? document.activeElement.href : null;
    draw();
    if (href !== null) links().find((link) => link.href === href)?.focus({ preventScroll: true });
  };
  return {
    keep,
    key(event) {
      const isHere = body.contains(document.activeElement);
      const step = { j: 1, k: -1, ...(isHere ? { ArrowDown: 1, ArrowUp: -1 } : {}) }[event.key];
      if (!step) return false;
      const all = links();
      const from = isHere ? all.findIndex((link) => link.closest("tr, .row, .step").contains(document.activeElement)) : -1;
      all[Math.max(0, Math.min(all.length - 1, from + step))]?.focus();
      return true;
    },
  };
}

/** The newest exchanges, without scrolling. */
export function shortList() {
  const body = h("div", { role: "rowgroup" });
  const element = h("div", { class: "table short", role: "table", "aria-label": "Ended just now" }, h("div", { role: "rowgroup" }, headings()), body);
  const lead = leading(body);
  let rows = [];
  let timer = 0;
  const fill = () => {
    const scale = scaleOf(rows);
    while (body.childElementCount < rows.length) {
      const one = rowElement("row", "cell");
      one.element.querySelectorAll("a").forEach((link) => link.removeAttribute("tabindex"));
      one.element.own = one;
      body.append(one.element);
    }
    while (body.childElementCount > rows.length) body.lastElementChild.remove();
    rows.forEach((row, at) => body.children[at].own.fill(row, scale));
  };
  // Rows stand still under the focus: a new one each moment would carry away what is about to be opened.
  const draw = () => body.contains(document.activeElement) || lead.keep(fill);
  body.addEventListener("focusout", (event) => body.contains(event.relatedTarget) || fill());
  return {
    element,
    key: lead.key,
    isEmpty: () => rows.length === 0,
    put(next) {
      rows = next;
      draw();
    },
    /** Puts one on top; ids that begin anew are those of a process that began anew. */
    add(row, most) {
      rows = rows[0]?.id >= row.id ? [row] : [row, ...rows].slice(0, most);
      timer ||= setTimeout(() => {
        timer = 0;
        draw();
      }, 120);
    },
  };
}
