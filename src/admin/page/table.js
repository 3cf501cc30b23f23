// A table of any length that keeps as many rows in the document as fit the window, and a few more.
import { h } from "./dom.js";
import { headings, rowElement, scaleOf } from "./rows.js";

const SPARE = 8;

/** The table. `more()` is called when the end comes near; `open(row)` when a row is chosen. */
export function table({ label, more, open, signal }) {
  const body = h("div", { class: "rows", role: "rowgroup" });
  const element = h("div", { class: "table long", role: "grid", tabindex: "0", "aria-label": label, "aria-rowcount": "1" }, h("div", { class: "heads", role: "rowgroup" }, headings()), body);
  const pool = [];
  let rows = [];
  let height = 30;
  let scale = 1000;
  let active = -1;
  let asked = 0;

  const measure = () => {
    height = parseFloat(getComputedStyle(element).getPropertyValue("--row")) || 30;
    element.querySelector(".heads").offsetHeight;
  };

  const draw = () => {
    asked = 0;
    const first = Math.max(0, Math.floor(element.scrollTop / height) - SPARE);
    const last = Math.min(rows.length, Math.ceil((element.scrollTop + element.clientHeight) / height) + SPARE);
    const visible = Math.max(0, last - first);
    while (pool.length < visible) {
      const one = rowElement();
      one.index = -1;
      pool.push(one);
      body.append(one.element);
    }
    // Each place of the pool has the rows of one remainder, so that a row that stays in view is not filled anew.
    const size = pool.length;
    for (const one of pool) one.used = false;
    for (let index = first; index < last; index++) {
      const one = pool[index % size];
      one.used = true;
      const row = rows[index];
      if (one.row !== row || one.scale !== scale) {
        one.fill(row, scale);
        one.row = row;
        one.scale = scale;
        one.element.id = `row-${row.id}`;
      }
      if (one.index !== index || one.height !== height) {
        one.index = index;
        one.height = height;
        one.element.style.setProperty("transform", `translateY(${index * height}px)`);
        one.element.setAttribute("aria-rowindex", String(index + 2));
      }
      one.element.setAttribute("aria-selected", String(index === active));
      one.element.hidden = false;
    }
    for (const one of pool) {
      if (one.used || one.element.hidden) continue;
      one.element.hidden = true;
      one.element.removeAttribute("id");
      one.row = null;
    }
    if (rows.length && last > rows.length - 60) more();
  };
  const ask = () => (asked ||= requestAnimationFrame(draw));

  const grow = () => {
    body.style.setProperty("block-size", `${rows.length * height}px`);
    element.setAttribute("aria-rowcount", String(rows.length + 1));
  };
  const rescale = () => {
    const wanted = scaleOf(rows.slice(0, 2000));
    // Bars keep their scale until it is far off.
    if (wanted > scale * 1.5 || wanted < scale / 2) scale = wanted;
  };

  const activate = (index) => {
    active = Math.max(0, Math.min(rows.length - 1, index));
    if (!rows.length) return;
    const top = active * height;
    const head = element.querySelector(".heads").offsetHeight;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + height + head > element.scrollTop + element.clientHeight) element.scrollTop = top + height + head - element.clientHeight;
    draw();
    element.setAttribute("aria-activedescendant", `row-${rows[active].id}`);
  };

  element.addEventListener("scroll", ask, { passive: true, signal });
  element.addEventListener("keydown", (event) => key(event) && event.preventDefault());
  body.addEventListener("click", (event) => {
    if (event.target.closest("a") || getSelection().toString()) return;
    const found = pool.find((one) => one.element.contains(event.target));
    if (found?.row) open(found.row);
  });
  const observer = new ResizeObserver(() => (measure(), grow(), ask()));
  observer.observe(element);
  signal.addEventListener("abort", () => observer.disconnect());

  const key = (event) => {
    const page = Math.max(1, Math.floor(element.clientHeight / height) - 2);
    const to = { j: active + 1, ArrowDown: active + 1, k: active - 1, ArrowUp: active - 1, PageDown: active + page, PageUp: active - page, Home: 0, End: rows.length - 1 }[event.key];
    if (to !== undefined) return activate(to), true;
    if (event.key === "Enter" && rows[active]) return open(rows[active]), true;
    return false;
  };

  return {
    element,
    key,
    get rows() {
      return rows;
    },
    get active() {
      return rows[active];
    },
    /** Whether the newest rows are in view. */
    isAtTop: () => element.scrollTop < height,
    /** Whether a pointer is pressed on a row. */
    isPressed: () => body.matches(":active"),
    toTop: () => (element.scrollTop = 0),
    put(next) {
      rows = next;
      active = -1;
      measure();
      rescale();
      element.scrollTop = 0;
      grow();
      draw();
    },
    append(next) {
      rows = rows.concat(next);
      grow();
      ask();
    },
    /** Puts new rows on top; who reads further down keeps their place. */
    prepend(next, most) {
      rows = next.concat(rows).slice(0, most);
      if (active >= 0) active += next.length;
      const from = element.scrollTop;
      rescale();
      grow();
      if (from >= height) element.scrollTop = from + next.length * height;
      ask();
    },
    activate,
  };
}
