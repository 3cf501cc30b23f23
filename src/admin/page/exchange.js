// One exchange: its time to scale, and every fact of it.
import { get } from "./api.js";
import { copy, h } from "./dom.js";
import { bytes, count, DASH, dated, duration, percent, short, story, term, title, unpriced, usd, verdict } from "./format.js";
import { listed } from "./exchanges.js";
import { failed, report } from "./live.js";
import { copier, empty, facts, heading, json, RESULTS } from "./parts.js";
import { timeline } from "./timeline.js";

export const TITLE = "Exchange";

export function show(root, { id, signal, go, swap }) {
  let found = null;
  const load = async () => {
    try {
      found = await get(`exchanges/${encodeURIComponent(id)}`, {}, signal);
      report("live", "live");
      draw(root, found, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (error.status === 404) {
        report("live", "live");
        return root.replaceChildren(h("h1", { class: "away" }, "Exchange"), empty("No exchange has this number, or its details are no longer kept.", h("a", { href: "#/exchanges" }, "See those that are"), "."));
      }
      failed(error);
      setTimeout(() => !signal.aborted && load(), 2000);
    }
  };
  load();
  const beside = (step) => {
    const at = listed.findIndex((row) => String(row.id) === id);
    const to = at < 0 ? null : listed[at + step];
    if (to) swap(`#/exchange/${to.id}`);
  };
  const keys = {
    j: () => beside(1),
    k: () => beside(-1),
    c: () => found?.conversation && go(`#/conversation/${encodeURIComponent(found.conversation.id)}`),
    Escape: () => (history.length > 1 ? history.back() : go("#/exchanges")),
  };
  return {
    curl: () => found?.curl,
    key: (event) => (keys[event.key] ? (keys[event.key](), true) : false),
  };
}

function draw(root, found, signal) {
  const row = found.exchange;
  root.replaceChildren(
    head(found),
    h("section", { class: "time" }, timeline(found, signal)),
    h("div", { class: "sheets" },
      section("Times", times(found)),
      section("Tokens and cost", tokens(found)),
      section("Request and answer", http(found)),
      found.conversation || row.tool_calls ? section("Conversation and tools", tools(found)) : null,
      section("Gaps between tokens", gaps(found.timeline)),
      found.attempts.length ? section("Attempts", attempts(found.attempts), "wide") : null,
    ),
    h("section", {}, heading("Attributes as exported", found.sampled === false ? h("span", { class: "beside" }, "not exported: its trace is not sampled") : null), found.spans.length ? h("div", { class: "spans" }, found.spans.map(span)) : empty("No span is exported for this exchange.")),
    h("section", {}, heading("As curl", copier(found.curl, "the curl command")), h("pre", { class: "code", tabindex: "0", "aria-label": "curl command" }, found.curl)),
  );
}

const section = (name, content, kind = "") => (content ? h("section", { class: kind }, h("h2", {}, name), content) : null);

function head(found) {
  const row = found.exchange;
  const trace = row.trace_id
    ? h("span", { class: "pair" }, "trace ", found.trace_url ? h("a", { href: found.trace_url, rel: "noreferrer", target: "_blank" }, h("code", {}, row.trace_id)) : h("code", {}, row.trace_id))
    : null;
  return h("header", { class: "title" },
    h("p", { class: "crumbs" }, h("a", { href: "#/exchanges" }, "Exchanges"), " / ", h("span", {}, `#${row.id}`)),
    h("h1", {}, title(row), h("span", { class: `end ${verdict(row)}` }, row.status === null ? null : h("b", {}, String(row.status)), " ", story(row))),
    h("p", { class: "sub" },
      h("span", {}, `${row.method ?? ""} `, h("code", {}, row.path ?? "")),
      row.upstream ? h("span", {}, "to ", h("a", { href: `#/exchanges?q=${encodeURIComponent(term("upstream", row.upstream))}` }, row.upstream)) : null,
      h("time", { datetime: new Date(row.started_at_ms).toISOString() }, dated(row.started_at_ms)),
      trace),
    h("div", { class: "acts" },
      found.conversation ? h("a", { class: "button", href: `#/conversation/${encodeURIComponent(found.conversation.id)}` }, "Conversation") : null,
      h("button", { type: "button", onclick: () => copy(found.curl, "the curl command") }, "Copy as curl"),
      json(`exchanges/${row.id}`)),
  );
}

function times({ exchange: row, timeline: line }) {
  return facts([
    ["Time to first token", duration(row.time_to_first_token_ms), "From the last byte of the request"],
    ["Time per output token", duration(row.time_per_output_token_ms)],
    ["Output tokens/s", row.time_per_output_token_ms ? (1000 / row.time_per_output_token_ms).toFixed(1) : null],
    ["Duration", duration(row.duration_ms)],
    ["streamgauge's own share", duration(line.overhead_ms), "The request here without an attempt under way, and what the answer spent inside; connecting is not among it"],
    ["waited for the client to read", duration(line.held_ms), "Part of that share: how long bytes of the answer were held here"],
    ["Largest gap", duration(line.largest_gap_ms)],
    ["Stalls", line.stalls.length ? count(line.stalls.length) : null],
    ["Chunks", count(row.chunks)],
    ["Streamed", row.streamed ? "yes" : "no"],
  ]);
}

function tokens({ exchange: row, cost }) {
  const mark = row.tokens_estimated ? " estimated" : "";
  const list = facts([
    ["Input tokens", row.input_tokens === null ? null : count(row.input_tokens) + mark],
    ["of them cached", row.cached_tokens === null ? null : `${count(row.cached_tokens)}${row.input_tokens ? `, ${percent(row.cached_tokens / row.input_tokens)}` : ""}`],
    ["Output tokens", row.output_tokens === null ? null : count(row.output_tokens) + mark],
    ["of them reasoning", count(row.reasoning_tokens)],
    ["Cost of input", cost ? usd(cost.input_usd) : null],
    ["Cost of output", cost ? usd(cost.output_usd) : null],
    ["Cost", cost ? `${usd(cost.total_usd)}${cost.partial ? " or more" : ""}${cost.estimated ? " estimated" : ""}` : unpriced(row)],
    ["Exactly", cost?.total_usd ? `${cost.total_usd} USD` : null],
    ["Price of", cost?.entry],
    ["in force since", cost?.since],
  ]);
  return list;
}

function http(found) {
  const { exchange: row, http: wire } = found;
  return facts([
    ["Requested model", row.model],
    ["Answered by", row.response_model],
    ["Operation", row.operation],
    ["Provider", row.provider],
    ["Route", row.route],
    ["Finish reason", row.finish_reasons?.join(", ")],
    ["Error", row.error],
    ["Protocol", wire?.version ? `HTTP/${wire.version}` : null],
    ["Host", wire?.host],
    ["Client", wire?.user_agent],
    ["Query", wire?.query],
    ["Request", bytes(wire?.request_bytes)],
    ["Answer", bytes(wire?.response_bytes)],
    ["Bytes passed on", RESULTS[found.integrity] ?? found.integrity],
    ["Key fingerprint", row.key_fingerprint ? h("a", { href: `#/exchanges?q=${encodeURIComponent(term("key", row.key_fingerprint))}` }, row.key_fingerprint) : null],
  ]);
}

function tools({ exchange: row, conversation: place, tool_calls: calls }) {
  return h("div", {},
    place ? facts([
      ["Conversation", h("a", { href: `#/conversation/${encodeURIComponent(place.id)}` }, h("code", {}, place.id.slice(0, 12)))],
      ["Turn", count(place.turn)],
      ["Branch", place.branch ? count(place.branch) : null],
      ["Depth", place.depth ? count(place.depth) : null],
      ["Linked by", place.linked_by?.replaceAll("_", " ")],
      ["Begun by", place.parent ? h("a", { href: `#/conversation/${encodeURIComponent(place.parent)}` }, h("code", {}, String(place.parent).slice(0, 12))) : null],
    ]) : null,
    calls.length ? h("table", { class: "plain" },
      h("thead", {}, h("tr", {}, ["Tool call", "Arguments", "At"].map((name, at) => h("th", { class: at ? "n" : "", scope: "col" }, name)))),
      h("tbody", {}, calls.map((call) => h("tr", {}, h("td", { title: [call.kind, call.id].filter(Boolean).join(" ") }, call.name ?? DASH), h("td", { class: "n" }, call.arguments_chars === null ? "" : `${count(call.arguments_chars)} characters`), h("td", { class: "n" }, duration(call.at_ms)))))) : null,
    !place && row.tool_calls && !calls.length ? facts([["Tool calls", count(row.tool_calls)]]) : null);
}

/** How many gaps were how long, by steps of 1, 2, 5; the root keeps in sight what came once. */
function gaps({ gaps: all }) {
  if (!all.length) return null;
  const steps = [-3, -2, -1, 0, 1, 2, 3, 4, 5].flatMap((power) => [1, 2, 5].map((digit) => Number(`${digit}e${power}`)));
  const counts = steps.map((upper, at) => all.reduce((sum, { gap_ms: ms, count: n }) => sum + (ms <= upper && ms > (steps[at - 1] ?? -1) ? n : 0), 0));
  const from = counts.findIndex((n) => n > 0);
  const to = counts.findLastIndex((n) => n > 0) + 1;
  if (from < 0) return null;
  const most = Math.max(...counts);
  return h("ol", { class: "bars" }, counts.slice(from, to).map((n, at) =>
    h("li", {}, h("span", { class: "n" }, `≤ ${short(steps[from + at])}`), h("span", { class: "track" }, n ? h("i", { style: { "inline-size": `${Math.sqrt(n / most) * 100}%` } }) : null), h("span", { class: "n" }, count(n)))));
}

function attempts(all) {
  const columns = ["No.", "Upstream", "Address", "Why", "Waited", "Sent", "Head", "End", "Status", "Error"];
  return h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Attempts" }, h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, columns.map((name, at) => h("th", { scope: "col", class: at >= 4 && at <= 8 ? "n" : "" }, name)))),
    h("tbody", {}, all.map((one, at) => h("tr", {},
      h("td", { class: "quiet" }, String(at + 1)), h("td", { title: one.url }, one.upstream ?? DASH), h("td", {}, one.address ? `${one.address}${one.port ? `:${one.port}` : ""}` : DASH), h("td", {}, one.why?.replaceAll("_", " ") ?? ""),
      ...[one.waited_ms, one.sent_ms, one.head_ms, one.end_ms].map((ms) => h("td", { class: "n" }, duration(ms))),
      h("td", { class: "n" }, one.status === null ? DASH : String(one.status)), h("td", { class: "bad" }, one.error ?? ""))))));
}

function span(one) {
  const rows = one.attributes.map(({ name, value }) => h("tr", {}, h("th", { scope: "row" }, name), h("td", {}, valueOf(value))));
  return h("details", { class: "span", open: true },
    h("summary", {}, h("b", {}, one.name), " ", h("span", { class: "quiet" }, `${one.kind.toLowerCase()}, ${count(rows.length)} attributes`)),
    h("table", { class: "attributes" }, h("tbody", {}, rows)));
}

const valueOf = (value) => (typeof value === "string" ? value : JSON.stringify(value));
