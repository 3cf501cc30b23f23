// What goes on now: figures of the last minutes, streams in flight, and what ended just now.
import { get } from "./api.js";
import { h, say } from "./dom.js";
import { brief, clock, count, DASH, duration, percent, rate, usd } from "./format.js";
import { newestOf } from "./heatmap.js";
import { lanes } from "./lanes.js";
import { every, failed, frames, listen, report } from "./live.js";
import { completeSince, figure, heading, isKnown, pointHere, rangeChoice, stepSize, wholeSteps } from "./parts.js";
import { shortList } from "./rows.js";
import { chart } from "./series.js";

export const TITLE = "Now";
const NEWEST = 14;

export function show(root, { params, signal, keep }) {
  const range = rangeChoice(params, keep, () => again());
  const strip = figures(signal);
  const charts = chartsOf(signal);
  const hint = h("div");
  let wasNew = null;
  const complete = h("span", { class: "beside" });
  const inFlight = lanes(hint);
  const flying = h("span", { class: "beside" });
  const newest = shortList();
  const lately = h("section", { class: "newest", hidden: true }, heading("Ended just now", h("a", { href: "#/exchanges", class: "beside" }, "all exchanges")), newest.element);
  root.append(
    h("h1", { class: "away" }, "Now"),
    strip.element,
    h("div", { class: "columns" },
      h("div", {}, h("section", { class: "in-flight" }, heading("In flight", flying, legend()), inFlight.element), lately),
      h("section", { class: "series" }, heading("Over time", complete, range.element), charts.element)),
  );

  const again = every(5000, async (stop) => {
    let facts = await get("summary", range.asked, stop);
    if (range.fits(facts)) facts = await get("summary", range.asked, stop);
    report(facts.ready ? "live" : "odd", facts.ready ? "live" : "draining");
    strip.put(facts, await get("summary", { since: "2m", step: "30s" }, stop), range.name);
    charts.put(facts);
    const isNew = facts.today.requests === 0 && newest.isEmpty();
    if (isNew !== wasNew) hint.replaceChildren(isNew ? pointHere(facts.base_url) : "Nothing in flight.");
    wasNew = isNew;
    lately.hidden = newest.isEmpty();
    say(complete, completeSince(facts));
  }, signal);

  const told = (event, value) => {
    if (event === "exchange") {
      newest.add(value, NEWEST);
      lately.hidden = false;
    }
    if (event !== "in_flight") return;
    inFlight.put(value);
    strip.flying(value.count);
    say(flying, value.count > value.exchanges.length ? `oldest ${value.exchanges.length} of ${count(value.count)}` : value.count || "");
  };
  const begin = async () => {
    try {
      const { exchanges } = await get("exchanges", { limit: NEWEST }, signal);
      newest.put(exchanges);
      listen({ after: exchanges[0]?.id ?? 0 }, told, signal);
    } catch (error) {
      if (signal.aborted) return;
      failed(error);
      setTimeout(() => !signal.aborted && begin(), 2000);
    }
  };
  begin();
  frames(inFlight.draw, signal);
  return { key: newest.key };
}

function legend() {
  const entry = (kind, text) => h("span", { class: `key ${kind}` }, text);
  return h("span", { class: "legend" }, entry("wait", "waiting"), entry("first", "first token"), entry("flow", "generating"), entry("stall", "stalled"));
}

/** The figures at the top, each with its line. */
function figures(signal) {
  const all = {
    flying: figure("In flight", "Exchanges that have begun and not ended"),
    requests: figure("Requests", "Exchanges that ended, each second, over the last minute"),
    tokens: figure("Output tokens", "Output tokens as reported, each second, over the last minute"),
    ttft: figure("First token", "Median time to first token of the last half minute; beneath it the 95th percentile"),
    errors: figure("Errors", "Share of exchanges that failed, in the range of time that the charts have"),
    cost: figure("Cost today", "What the calls of today cost, as far as prices are known"),
  };
  say(all.requests.unit, "/s");
  say(all.tokens.unit, "/s");
  const spark = (of, tint) => chart(of.chart, { lines: [{ colour: tint, fill: `${tint}-wash` }], height: 34, signal });
  const lines = { requests: spark(all.requests, "flow"), tokens: spark(all.tokens, "flow"), ttft: spark(all.ttft, "flow"), errors: spark(all.errors, "bad"), cost: spark(all.cost, "flow") };
  const flights = [];
  const flight = spark(all.flying, "flow");

  return {
    element: h("section", { class: "strip", "aria-label": "Figures" }, Object.values(all).map((one) => one.element)),
    flying(n) {
      say(all.flying.value, count(n));
      flights.push([Date.now() / 1000, n]);
      if (flights.length > 240) flights.shift();
      if (flights.length > 1) flight.put([flights.map(([at]) => at), flights.map(([, n]) => n)]);
      say(all.flying.note, `most ${count(Math.max(...flights.map(([, n]) => n)))} since you look`);
    },
    put(facts, minute, window) {
      const { steps, today } = facts;
      const at = steps.map((step) => step.at_ms / 1000);
      const whole = wholeSteps(facts);
      const [lately, seconds] = lastOf(minute);
      say(all.requests.value, rate(sum(lately, "requests") / seconds));
      say(all.requests.note, `${count(today.requests)} today`);
      say(all.tokens.value, rate(sum(lately, "output_tokens") / seconds));
      say(all.tokens.note, `${brief(today.output_tokens)} out, ${brief(today.input_tokens)} in today`);
      const { p50_ms: p50, p95_ms: p95 } = minute.latency.time_to_first_token;
      const newest = newestOf(minute.latency.time_to_first_token, wholeSteps(minute).length);
      const [n, unit] = newest < 0 ? [DASH, ""] : duration(p50[newest]).split(" ");
      say(all.ttft.value, n);
      say(all.ttft.unit, unit ? ` ${unit}` : "");
      say(all.ttft.note, newest < 0 ? "no stream lately" : `p95 ${duration(p95[newest])}`);
      const requests = sum(steps, "requests");
      const errors = sum(steps, "errors");
      const [share, sign] = requests ? percent(errors / requests).split(" ") : [DASH, ""];
      say(all.errors.value, share);
      say(all.errors.unit, sign ? ` ${sign}` : "");
      say(all.errors.note, requests ? `${count(errors)} of ${count(requests)} in ${window}` : `no exchange in ${window}`);
      all.errors.element.classList.toggle("raised", errors > 0);
      say(all.cost.value, isUnpriced(today) ? DASH : `${today.cost_estimated ? "~" : ""}${usd(today.cost_usd ?? 0)}`);
      say(all.cost.note, costNote(today));
      const cut = whole.length;
      const known = isKnown(facts);
      const line = (of) => [at.slice(0, cut), whole.map((step) => (known(step) ? Number(step[of] ?? 0) : null))];
      lines.requests.put(line("requests"));
      lines.tokens.put(line("output_tokens"));
      lines.ttft.put([at.slice(0, cut), facts.latency.time_to_first_token.p50_ms.slice(0, cut)]);
      lines.errors.put(line("errors"));
      lines.cost.put(line("cost_usd"));
    },
  };
}

/** Without any price nothing is known of a cost, which is not the same as none. */
const isUnpriced = ({ cost_usd: cost, unpriced, requests }) => (Number(cost ?? 0) === 0 && unpriced > 0) || (cost === null && requests > 0);

function costNote(today) {
  if (today.unpriced) return `${count(today.unpriced)} without a price`;
  return isUnpriced(today) ? "no call with usage" : "every call with usage has a price";
}

/** The last minute's steps and how many seconds they are: those that are over, else all there are. */
function lastOf(facts) {
  const began = facts.complete_since_ms ?? 0;
  const whole = wholeSteps(facts).filter((step) => step.at_ms >= began).slice(-2);
  if (whole.length) return [whole, (whole.length * stepSize(facts)) / 1000];
  return [facts.steps, Math.max(1, (facts.now_ms - Math.max(began, facts.steps[0]?.at_ms ?? 0)) / 1000)];
}

const sum = (steps, of) => steps.reduce((total, step) => total + Number(step[of] ?? 0), 0);

/** The charts at the side: each second, by step. */
function chartsOf(signal) {
  const made = [
    { name: "Requests", lines: [["all", "flow", "flow-wash"], ["failed", "bad", "bad-wash"]], unit: "/s", of: (step, s) => [step.requests / s, step.errors / s] },
    { name: "Tokens", lines: [["in", "quiet", null], ["out", "flow", "flow-wash"]], unit: "/s", of: (step, s) => [step.input_tokens / s, step.output_tokens / s] },
    { name: "Cost", lines: [["", "flow", "flow-wash"]], unit: "$/h", of: (step, s) => [(Number(step.cost_usd ?? 0) / s) * 3600] },
  ].map((spec) => {
    const readout = h("span", { class: "readout" });
    const box = h("div", { class: "plot", role: "img", "aria-label": `${spec.name}, ${spec.unit}, over time` });
    const format = (n) => (spec.unit === "$/h" ? `$${brief(n)}` : brief(n));
    const one = { spec, columns: null };
    const told = (index) => {
      const at = index ?? (one.columns ? one.columns[0].length - 1 : -1);
      if (!one.columns || at < 0 || at >= one.columns[0].length) return say(readout, "");
      const values = spec.lines.map(([name], n) => [name, one.columns[n + 1][at] === null ? DASH : format(one.columns[n + 1][at])].filter(Boolean).join(" "));
      say(readout, `${clock(one.columns[0][at] * 1000)}  ${values.join("  ")}`);
    };
    one.told = told;
    one.plot = chart(box, { lines: spec.lines.map(([name, tint, fill]) => ({ name, colour: tint, fill })), height: 146, axes: true, format, sync: "now", told, signal });
    one.element = h("figure", { class: "chart" }, h("figcaption", {}, h("b", {}, spec.name), h("span", { class: "unit" }, spec.unit), h("span", { class: "legend" }, spec.lines.length > 1 ? spec.lines.map(([name, tint]) => h("span", { class: `key ${tint}` }, name)) : null), readout), box);
    return one;
  });
  return {
    element: h("div", { class: "charts" }, made.map((one) => one.element)),
    put(facts) {
      const size = stepSize(facts) / 1000;
      const whole = wholeSteps(facts);
      for (const one of made) {
        const isUnknown = one.spec.unit === "$/h" && isUnpriced(facts.today);
        const values = whole.map((step) => (isKnown(facts)(step) && !isUnknown ? one.spec.of(step, size) : one.spec.lines.map(() => null)));
        one.columns = [whole.map((step) => step.at_ms / 1000), ...one.spec.lines.map((_, n) => values.map((value) => value[n]))];
        one.plot.put(one.columns);
        one.told(null);
      }
    },
  };
}
