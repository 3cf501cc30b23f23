// Pieces that several views share.
import { isOpen } from "./api.js";
import { h, icon, copy } from "./dom.js";
import { clock, DASH } from "./format.js";

/** Ranges of time: how far back, and how long a step is. */
export const RANGES = { "2m": ["2 min", "2s"], "5m": ["5 min", "5s"], "15m": ["15 min", "15s"], "1h": ["1 h", "30s"], "6h": ["6 h", "2m"], "24h": ["24 h", "10m"] };

/**
 * The range that is shown: that of the URL, else a quarter of an hour, and less where less is known. `element` chooses among
 * them; `changed()` is called then.
 */
export function rangeChoice(params, keep, changed) {
  let chosen = Object.hasOwn(RANGES, params.get("since") ?? "") ? params.get("since") : null;
  let known = "15m";
  const choice = choices("Range", Object.entries(RANGES).map(([key, [text]]) => [key, text]), chosen ?? known, (key) => {
    chosen = key;
    keep({ since: key });
    changed();
  });
  return {
    element: choice.element,
    /** What to ask for. */
    get asked() {
      return { since: chosen ?? known, step: RANGES[chosen ?? known][1] };
    },
    /** What it is called. */
    get name() {
      return RANGES[chosen ?? known][0];
    },
    isOf: (to) => (to.get("since") ?? null) === chosen,
    /** Takes a range that what is known fills, or nearly; true where that is another than was asked for. */
    fits({ now_ms: now, complete_since_ms: since }) {
      const age = since === undefined || since === null ? Infinity : now - since;
      const before = known;
      known = age < 240_000 ? "2m" : age < 600_000 ? "5m" : "15m";
      if (chosen !== null || known === before) return false;
      choice.put(known);
      return true;
    },
  };
}

/** Length of a step in ms. */
export const stepSize = ({ steps }) => (steps.length > 1 ? steps[1].at_ms - steps[0].at_ms : 15_000);

/** The steps of a summary that are over. */
export const wholeSteps = (facts) => facts.steps.filter((step) => step.at_ms + stepSize(facts) <= facts.now_ms);

/** Whether anything can be said of a step: not of those before the first that is known. */
export const isKnown = (facts) => (step) => step.requests > 0 || step.at_ms + stepSize(facts) > (facts.complete_since_ms ?? 0);

/** From when on all that ended is kept, where steps before that miss some; else nothing. */
export function completeSince({ complete_since_ms: since, steps }) {
  const missing = since !== undefined && since !== null && steps.length > 0 && since > steps[0].at_ms && steps.some((step) => step.requests && step.at_ms < since);
  return missing ? `complete since ${clock(since)}` : "";
}

/** A row of choices of which one holds; `put` has another one hold. */
export function choices(label, entries, value, chosen) {
  const buttons = entries.map(([key, text, title]) =>
    h("button", { type: "button", "aria-pressed": String(key === value), title, onclick: () => pick(key), "data-key": key }, text));
  const put = (key) => {
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.key === key));
  };
  const pick = (key) => {
    put(key);
    chosen(key);
  };
  return { element: h("div", { class: "choices", role: "group", "aria-label": label }, buttons), put };
}

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

/** A link to the facts as the API has them, where a link may read them. */
export const json = (path) => (isOpen() ? h("a", { class: "button", href: `api/${path}` }, "JSON") : null);

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

/** What comparing the bytes of an answer with those passed on can say. */
export const RESULTS = {
  equal: "the same bytes",
  prefix: "the same until one side ended",
  usage_removed: "the same, less the usage event that was asked for",
  keep_alive: "the same, and a keep-alive comment",
  usage_left: "the usage event stayed in",
  different: "different",
};

/** A share as a bar with text for who cannot see it. */
export function meter(share, kind, label) {
  const bar = h("span", { class: "fill" });
  bar.style.setProperty("inline-size", `${Math.min(100, Math.max(0, share * 100))}%`);
  return h("span", { class: `meter ${kind ?? ""}`, role: "img", "aria-label": label }, bar);
}
