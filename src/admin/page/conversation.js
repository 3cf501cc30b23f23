// One conversation: its turns and what lay between them on one scale of time, and how its context grew.
import { get } from "./api.js";
import { fit, h } from "./dom.js";
import { brief, count, DASH, dated, duration, percent, unpriced, usd, verdict, story } from "./format.js";
import { every, report } from "./live.js";
import { empty, facts, json } from "./parts.js";
import { axis } from "./folded.js";

export const TITLE = "Conversation";

export function show(root, { id, signal, go }) {
  let before = "";
  every(3000, async (stop) => {
    try {
      const found = await get(`conversations/${encodeURIComponent(id)}`, {}, stop);
      report("live", "live");
      const text = JSON.stringify(found);
      if (text !== before) draw(root, found, signal);
      before = text;
    } catch (error) {
      if (error.status !== 404) throw error;
      report("live", "live");
      root.replaceChildren(h("h1", { class: "away" }, "Conversation"), empty("This conversation is not kept any more.", h("a", { href: "#/conversations" }, "See those that are"), "."));
    }
  }, signal);
  return { key: (event) => event.key === "Escape" && (history.length > 1 ? history.back() : go("#/conversations"), true) };
}

function draw(root, found, signal) {
  const { totals, turns } = found;
  const most = Math.max(1, ...turns.map(({ exchange: row }) => (row.input_tokens ?? 0) + (row.output_tokens ?? 0)));
  const scale = axis(turns);
  let cost = null;
  const rows = turns.map((turn, at) => {
    if (turn.exchange.cost_usd !== null) cost = (cost ?? 0) + Number(turn.exchange.cost_usd);
    return turnRow(turn, turns[at - 1], scale, most, cost);
  });
  const waterfall = h("div", { class: "waterfall", role: "table", "aria-label": "Turns" },
    h("div", { role: "rowgroup" }, h("div", { class: "step labels", role: "row" }, COLUMNS.map(([kind, name]) =>
      h("span", { role: "columnheader", class: kind }, kind === "when" ? h("span", { class: "away" }, name) : name, kind === "when" ? h("span", { class: "axis", "aria-hidden": "true" }, scale.labels()) : null)))),
    h("div", { role: "rowgroup" }, rows));
  root.replaceChildren(head(found), summary(totals, turns), waterfall, legend());
  const observer = new ResizeObserver(() => fit(waterfall));
  observer.observe(waterfall);
  signal.addEventListener("abort", () => observer.disconnect(), { once: true });
}

const COLUMNS = [["which", "Turn"], ["when", "When"], ["context", "Context"], ["n cached", "Cached"], ["n cost", "Cost so far"]];

function head({ id, parent, children, totals }) {
  const link = (to) => h("a", { href: `#/conversation/${encodeURIComponent(to)}` }, h("code", {}, to.slice(0, 12)));
  return h("header", { class: "title" },
    h("p", { class: "crumbs" }, h("a", { href: "#/conversations" }, "Conversations"), " / ", h("code", {}, id.slice(0, 12))),
    h("h1", {}, totals.models.join(", ") || "Conversation"),
    h("p", { class: "sub" },
      h("span", {}, h("code", {}, id)),
      h("time", { datetime: new Date(totals.first_at_ms).toISOString() }, dated(totals.first_at_ms)),
      parent ? h("span", {}, "begun by a tool call of ", link(parent)) : null,
      children.length ? h("span", {}, "its tool calls began ", children.flatMap((one, at) => [at ? ", " : null, link(one)])) : null),
    h("div", { class: "acts" }, h("a", { class: "button", href: `#/exchanges?q=conversation:${id}` }, "Exchanges"), json(`conversations/${encodeURIComponent(id)}`)));
}

function summary(totals, turns) {
  const cached = turns.filter(({ exchange: row }) => row.cached_tokens !== null);
  const of = cached.reduce((sum, { exchange: row }) => sum + (row.input_tokens ?? 0), 0);
  const served = cached.reduce((sum, { exchange: row }) => sum + row.cached_tokens, 0);
  const lost = turns.reduce((sum, { prompt }) => sum + (prompt?.lost_tokens ?? 0), 0);
  const breaks = turns.filter(broke).length;
  return h("div", { class: "totals" }, facts([
    ["Turns", count(totals.turns)],
    ["Lasted", duration(totals.lasted_ms)],
    ["Input tokens", count(totals.input_tokens)],
    ["Output tokens", count(totals.output_tokens)],
    ["Served by cache", of ? percent(served / of) : null],
    ["Cache broken", breaks ? `${count(breaks)}×` : null],
    ["Tokens lost by it", lost ? count(lost) : null],
    ["Tool calls", count(totals.tool_calls)],
    ["Repeated calls", totals.repeated_calls ? count(totals.repeated_calls) : null],
    ["Errors", totals.errors ? count(totals.errors) : null],
    ["Cost", totals.cost_usd === null ? unpriced(totals) : `${totals.cost_estimated ? "~" : ""}${usd(totals.cost_usd)}`],
  ]));
}

const VERDICTS = { prefix_changed: "the prompt changed", upstream_missed: "the upstream missed it", expired: "it came too late", too_short: "too short to cache", not_cached: "nothing was cached", reused: "reused" };

/** Whether a cache could have served this turn and did not. */
const broke = ({ prompt }) => Boolean(prompt && (prompt.changed || prompt.verdict === "upstream_missed" || prompt.verdict === "expired"));

function turnRow(turn, earlier, scale, most, cost) {
  const row = turn.exchange;
  const part = (n) => `${((n ?? 0) / most) * 100}%`;
  const cached = row.cached_tokens ?? 0;
  const context = h("span", { class: "stack", title: `${count(row.input_tokens)} in, ${count(row.cached_tokens)} of them cached, ${count(row.output_tokens)} out` },
    h("i", { class: "served", style: { "inline-size": part(cached) } }), h("i", { class: "read", style: { "inline-size": part((row.input_tokens ?? 0) - cached) } }), h("i", { class: "made", style: { "inline-size": part(row.output_tokens) } }));
  const share = row.cached_tokens === null || !row.input_tokens ? DASH : percent(row.cached_tokens / row.input_tokens);
  const beside = notes(turn, scale);
  return h("div", { class: `step ${beside?.style.insetInlineEnd ? "crowded" : ""}`, role: "row", "data-kind": verdict(row), "data-branch": turn.branch ? "other" : null },
    h("span", { class: "which", role: "cell" },
      h("a", { href: `#/exchange/${row.id}` }, String(row.turn ?? DASH)),
      turn.branch ? h("span", { class: "tag", title: `branch ${turn.branch}` }, `b${turn.branch}`) : null,
      turn.depth ? h("span", { class: "tag", title: `depth ${turn.depth}: begun by another agent` }, `d${turn.depth}`) : null,
      h("span", { class: "quiet model" }, earlier?.exchange.model === row.model ? "" : row.model)),
    h("span", { class: "when", role: "cell" }, scale.rules(), waits(turn, scale), bars(row, scale), beside),
    h("span", { class: "context", role: "cell" }, context, h("span", { class: "n" }, brief(row.input_tokens) || DASH)),
    h("span", { class: `n cached ${broke(turn) ? "odd" : ""}`, role: "cell" }, share),
    h("span", { class: "n cost", role: "cell", title: row.cost_usd === null ? unpriced(row) : `this turn ${usd(row.cost_usd)}` }, cost === null ? DASH : usd(String(cost))));
}

/** The wait for the first token, then the rest. */
function bars(row, scale) {
  const from = row.started_at_ms;
  const first = from + (row.time_to_first_token_ms ?? row.duration_ms ?? 0);
  const to = from + (row.duration_ms ?? 0);
  const text = `${duration(row.duration_ms)}${row.time_to_first_token_ms === null ? "" : `, first token after ${duration(row.time_to_first_token_ms)}`}; ${story(row)}`;
  return h("a", { class: "call", href: `#/exchange/${row.id}`, title: text, "aria-label": text },
    // What came whole has no first token.
    scale.bar(row.time_to_first_token_ms === null ? "whole" : "wait", from, first), to > first ? scale.bar("flow", first, to) : null);
}

function waits({ tool_waits: all }, scale) {
  return all.map((one, at) => {
    const text = `${one.name ?? "tool"}: at most ${duration(one.lasted_ms)}`;
    const bar = scale.bar("tool", one.began_at_ms, one.began_at_ms + one.lasted_ms, text);
    bar.style.setProperty("--nth", String(at));
    bar.style.setProperty("--of", String(all.length));
    bar.append(h("span", { title: text }, one.name ?? "tool"));
    return bar;
  });
}

/** What is odd about a turn, beside its bar: on the side that has more room. */
function notes(turn, scale) {
  const all = [];
  if (broke(turn)) {
    const { prompt } = turn;
    const what = prompt.changed ? `cache broke at ${prompt.changed}` : `cache missed: ${VERDICTS[prompt.verdict] ?? prompt.verdict}`;
    const where = prompt.matched_bytes !== null && prompt.earlier_bytes ? `, ${percent(prompt.matched_bytes / prompt.earlier_bytes)} of the earlier prompt matched` : "";
    all.push(h("span", { class: "mark broke", title: `${VERDICTS[prompt.verdict] ?? ""}${where}` }, what, prompt.lost_tokens ? `, ${brief(prompt.lost_tokens)} tokens lost` : ""));
  }
  for (const { name, times } of turn.repeated_calls) all.push(h("span", { class: "mark loop" }, `loop: ${name} ${times}×`));
  if (turn.without_progress) all.push(h("span", { class: "mark loop" }, `nothing new for ${turn.without_progress} turns`));
  if (turn.exchange.error) all.push(h("span", { class: "mark failed" }, story(turn.exchange)));
  if (!all.length) return null;
  const { started_at_ms: from, duration_ms: lasted } = turn.exchange;
  const first = Math.min(from, ...turn.tool_waits.map((wait) => wait.began_at_ms));
  return h("span", { class: "notes", style: scale.beside(first, from + (lasted ?? 0)) }, all);
}

function legend() {
  const entry = (kind, text) => h("span", { class: `key ${kind}` }, text);
  return h("p", { class: "legend below" }, entry("wait", "until the first token"), entry("flow", "generating"), entry("whole", "not streamed"), entry("tool", "waiting for a tool, at most"), entry("served", "served by cache"), entry("read", "read anew"), entry("made", "generated"));
}
