// Pieces that several views share.
import { h, icon, copy } from "./dom.js";
import { DASH } from "./format.js";

/** Ranges of time: how far back, and how long a step is. */
export const RANGES = { "5m": ["5 min", "5s"], "15m": ["15 min", "15s"], "1h": ["1 h", "30s"], "6h": ["6 h", "2m"], "24h": ["24 h", "10m"] };

/** The range of the URL, or the usual one. */
export const rangeOf = (params) => (Object.hasOwn(RANGES, params.get("since") ?? "") ? params.get("since") : "15m");

/** A row of choices of which one holds. */
export function choices(label, entries, value, chosen) {
  const buttons = entries.map(([key, text, title]) =>
    h("button", { type: "button", "aria-pressed": String(key === value), title, onclick: () => pick(key), "data-key": key }, text));
  const pick = (key) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.key === key));
    chosen(key);
  };
  return h("div", { class: "choices", role: "group", "aria-label": label }, buttons);
}

/** A choice among ranges of time. */
export const ranges = (value, chosen) => choices("Range", Object.entries(RANGES).map(([key, [text]]) => [key, text]), value, chosen);

/** A heading with what stands at its side. */
export const heading = (text, ...beside) => h("div", { class: "heading" }, h("h2", {}, text), ...beside);

/** Facts by name; those that are not known are left out. */
export function facts(entries) {
  const known = entries.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl", { class: "facts" }, known.map(([name, value, title]) => h("div", { title }, h("dt", {}, name), h("dd", {}, value))));
}

/** A figure with its name, its unit, and a line under it. */
export function figure(name, title) {
  const value = h("span", { class: "value" }, DASH);
  const unit = h("span", { class: "unit" });
  const note = h("span", { class: "note" });
  const chart = h("div", { class: "spark", "aria-hidden": "true" });
  const element = h("div", { class: "figure", title }, h("h2", { class: "name" }, name), h("p", {}, value, unit), note, chart);
  return { element, value, unit, note, chart };
}

/** A button that copies. */
export const copier = (text, what, label = "Copy") =>
  h("button", { type: "button", class: "quiet", onclick: () => copy(text, what) }, icon("M5.500 5.500v-3h8v8h-3", "M2.5 5.500h8v8h-8z"), label);

/** What stands where there is nothing yet: what to do. */
export function empty(title, ...text) {
  return h("div", { class: "empty" }, h("p", { class: "lead" }, title), text.length ? h("p", {}, ...text) : null);
}

/** How a client is pointed here. */
export function pointHere(base) {
  const line = `export OPENAI_BASE_URL=${reachable(base)}`;
  return h("div", { class: "empty" },
    h("p", { class: "lead" }, "No exchange yet."),
    h("p", {}, "Point a client here, and its calls appear at once:"),
    h("p", { class: "command" }, h("code", {}, line), copier(line, "the line")));
}

/** An address that stands for every interface is none that a client can go to; the host of this page may be. */
const reachable = (url) => url.replace(/\/\/(0\.0\.0\.0|\[::\])(?=[:/])/, `//${location.hostname}`);

/** A share as a bar with text for who cannot see it. */
export function meter(share, kind, label) {
  const bar = h("span", { class: "fill" });
  bar.style.setProperty("inline-size", `${Math.min(100, Math.max(0, share * 100))}%`);
  return h("span", { class: `meter ${kind ?? ""}`, role: "img", "aria-label": label }, bar);
}
