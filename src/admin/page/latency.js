// How long things take: three heat maps over the same time, for all models or one.
import { get, Refusal } from "./api.js";
import { h, say } from "./dom.js";
import { count, term } from "./format.js";
import { heatmap, together } from "./heatmap.js";
import { every, report } from "./live.js";
import { completeSince, empty, pointHere, rangeChoice, wholeSteps } from "./parts.js";
import { queryBox } from "./query.js";

export const TITLE = "Latency";

const MAPS = [
  ["time_to_first_token", "Time to first token", "From the last byte of the request to the first event with generated output", "ttft"],
  ["time_per_output_token", "Time per output token", "From the first token to the last, by each output token after the first", "tpot"],
  ["duration", "Duration", "From the request to the end of the answer", "duration"],
];

export function show(root, { params, signal, keep, go }) {
  const range = rangeChoice(params, keep, () => again());
  const shared = together();
  const box = queryBox(params.get("q") ?? "", (q) => (keep({ q }), again()));
  const models = h("div", { class: "models chips", role: "group", "aria-label": "Model" });
  const many = h("span", { class: "beside" });
  const none = h("div", { hidden: true });

  const ask = (field) => (value, time) => {
    const bounds = [value.from > 0 ? `${field}>${value.from}ms` : null, value.to ? `${field}<=${value.to}ms` : null];
    const terms = [box.value, ...bounds, `ended>=${time.from}`, `ended<${time.to}`].filter(Boolean);
    go(`#/exchanges?q=${encodeURIComponent(terms.join(" "))}`);
  };
  const maps = MAPS.map(([key, name, meaning, field]) => [key, heatmap({ name, meaning, chosen: ask(field), shared, signal })]);
  const charts = h("div", { class: "heatmaps" }, maps.map(([, map]) => map.element));
  const hint = h("p", { class: "hint" }, "Click a cell to see its exchanges.");
  root.append(
    h("h1", { class: "away" }, "Latency"), box.element,
    h("div", { class: "under" }, models, many, range.element),
    charts, none, hint,
  );

  let drawnModels = "";
  const choose = (names) => {
    const chosen = names.find((name) => box.value.split(/\s+(?=(?:[^"]*"[^"]*")*[^"]*$)/).includes(term("model", name)));
    const key = JSON.stringify([names, chosen]);
    if (key === drawnModels) return;
    drawnModels = key;
    const pick = (name) => {
      const rest = chosen === undefined ? box.value : box.value.replace(term("model", chosen), "").trim();
      const q = [name === undefined ? null : term("model", name), rest].filter(Boolean).join(" ");
      box.put(q);
      keep({ q });
      again();
    };
    const chip = (name, text) => h("button", { type: "button", class: "chip", "aria-pressed": String(name === chosen), onclick: () => pick(name) }, text);
    models.replaceChildren(chip(undefined, "all models"), ...names.map((name) => chip(name, name)));
  };

  const again = every(5000, async (stop) => {
    try {
      let facts = await get("summary", { q: box.value, ...range.asked }, stop);
      if (range.fits(facts)) facts = await get("summary", { q: box.value, ...range.asked }, stop);
      box.refuse(null);
      report(facts.ready ? "live" : "odd", facts.ready ? "live" : "draining");
      const requests = facts.steps.reduce((sum, step) => sum + step.requests, 0);
      say(many, [`${count(requests)} exchanges`, completeSince(facts)].filter(Boolean).join(", "));
      choose(facts.models);
      for (const [key, map] of maps) map.put(facts.steps, facts.latency[key], wholeSteps(facts).length);
      none.hidden = requests > 0;
      charts.hidden = hint.hidden = requests === 0;
      if (requests === 0) none.replaceChildren(facts.today.requests ? empty("Nothing in this range.", "Choose a longer one, or take a term away.") : pointHere(facts.base_url));
    } catch (error) {
      if (!(error instanceof Refusal && error.status === 400)) throw error;
      box.refuse(error);
      report("live", "live");
    }
  }, signal);

  return {
    change(to) {
      const q = to.get("q") ?? "";
      return q === box.value && range.isOf(to);
    },
  };
}
