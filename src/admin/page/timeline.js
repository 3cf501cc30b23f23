// The time of one exchange to scale: who it was with (the client, us, the upstream), when what happened, and where it stood still.
import { fit, h } from "./dom.js";
import { duration, percent, short, timeTicks } from "./format.js";
import { choices, heading } from "./parts.js";

const NAMES = {
  received: "received", request_end: "request read", sent: "sent", response_head: "head", first_byte: "first byte", first_chunk: "first chunk",
  first_reasoning: "first reasoning", first_token: "first token", first_tool_call: "first tool call", last_token: "last token", end: "end",
};

/** The part of the page; the scale can be the whole, or the beginning. */
export function timeline(found, signal) {
  const { marks, stalls } = found.timeline;
  const at = Object.fromEntries(marks.map(({ name, at_ms: ms }) => [name, ms]));
  const end = at.end ?? found.exchange.duration_ms ?? 0;
  const scales = [["whole", "Whole", end]];
  if (at.first_token && at.first_token < end * 0.6) scales.push(["first", "To first token", at.first_token * 1.04]);
  if (at.sent !== undefined && at.sent * 3 < end) scales.push(["ours", "streamgauge's share", Math.max(0.02, at.sent * 1.6)]);
  const plot = h("div", { class: "plot" });
  const put = (key) => {
    const [, , span] = scales.find(([name]) => name === key);
    plot.replaceChildren(...drawn(found, at, end, span));
    level(plot);
  };
  const observer = new ResizeObserver(() => level(plot));
  observer.observe(plot);
  signal.addEventListener("abort", () => observer.disconnect());
  const choice = scales.length > 1 ? choices("Scale", scales.map(([key, text]) => [key, text]), "whole", put).element : null;
  requestAnimationFrame(() => put("whole"));
  return h("div", { class: "timeline" }, heading("Timeline", shares(found, at, end), choice), plot, list(marks, stalls));
}

/**
 * Where the request was here and no attempt under way, or one waited for a connection that others had: `from` and `to` in ms. What
 * frames spent inside on the way back is not among them; it has no place of its own.
 */
function ours(found, at) {
  let since = at.request_end ?? 0;
  const spans = [];
  for (const { issued_ms: issued, waited_ms: waited, head_ms: head, end_ms: over } of found.attempts) {
    const to = issued + (waited ?? 0);
    if (to > since) spans.push({ from: since, to });
    since = Math.max(since, to, head ?? over ?? 0);
  }
  return spans;
}

/** From when on the attempt whose request was sent then was under way. */
function underWay(found, sent) {
  const one = found.attempts.findLast((attempt) => attempt.issued_ms <= sent);
  return one ? one.issued_ms + (one.waited_ms ?? 0) : sent;
}

/**
 * Whose time it was. Of our own, what frames waited for the client stands apart, as the bars do not have it. What is neither the
 * client's, nor ours, nor spent on connecting is the upstream's, so that all sum up.
 */
function shares(found, at, end) {
  const { overhead_ms: overhead, held_ms: held } = found.timeline;
  const connecting = at.sent === undefined ? null : Math.max(0, at.sent - underWay(found, at.sent));
  const upstream = at.sent === undefined ? null : Math.max(0, end - (at.request_end ?? 0) - (overhead ?? 0) - connecting);
  const entry = (kind, name, ms) => (ms === null || ms === undefined ? null : h("span", { class: `key ${kind}` }, name, " ", h("b", {}, duration(ms)), end > 0 && ms / end >= 0.0005 ? ` ${percent(ms / end)}` : ""));
  return h("span", { class: "legend" },
    entry("client", "client", at.request_end),
    entry("ours", "streamgauge", overhead === null ? null : Math.max(0, overhead - held)),
    entry("held", "waited for the client to read", overhead !== null && held ? held : null),
    entry("connect", "connecting", connecting),
    entry("flow", "upstream", upstream));
}

function drawn(found, at, end, span) {
  const left = (ms) => `${(ms / span) * 100}%`;
  const bar = (kind, from, to, text, title) => {
    if (from === undefined || to === undefined || from > span) return null;
    const cut = Math.min(to, span);
    return h("span", { class: `seg ${kind}`, title: title ?? `${text}: ${duration(to - from)}`, style: { "inset-inline-start": left(from), "inline-size": left(Math.max(0, cut - from)) } }, h("span", {}, text));
  };
  const out = at.first_token;
  const last = at.last_token ?? (out === undefined ? undefined : end);
  const lane = (name, ...bars) => h("div", { class: "track" }, h("span", { class: "name" }, name), h("div", { class: "bars-of" }, bars));
  const waiting = at.response_head ?? out ?? end;
  const upstream = [
    at.sent === undefined ? null : bar("connect", underWay(found, at.sent), at.sent, "connects, sends"),
    at.sent === undefined ? null : bar("wait", at.sent, waiting, "waiting for the head"),
    at.response_head === undefined ? null : bar("head", at.response_head, out ?? end, out === undefined ? "answer" : "until the first token"),
    out === undefined ? null : bar("flow", out, last, "generating"),
    last === undefined || last >= end ? null : bar("tail", last, end, "to the end"),
    ...found.timeline.stalls.map(({ at_ms: to, gap_ms: gap }) => bar("stall", Math.max(0, to - gap), to, "stalled")),
  ];
  const tries = found.attempts.length > 1
    ? found.attempts.map((one, n) => lane(`attempt ${n + 1}`, bar(one.error || one.status >= 400 ? "failed" : "head", one.issued_ms, one.end_ms ?? end, [one.status, one.error].filter(Boolean).join(" ") || "in flight")))
    : [];
  const rules = timeTicks(span, Math.max(3, 8)).map((ms) => h("span", { class: ms > span * 0.95 ? "tick last" : "tick", style: { "inset-inline-start": left(ms) } }, h("span", {}, short(ms))));
  const flags = found.timeline.marks.filter(({ at_ms: ms }) => ms <= span).map(({ name, at_ms: ms }) =>
    h("span", { class: `flag ${name}`, style: { "inset-inline-start": left(ms) }, title: `${NAMES[name] ?? name}: ${duration(ms) || "0"}` }, h("span", {}, NAMES[name] ?? name, " ", h("b", {}, duration(ms) || "0"))));
  return [
    h("div", { class: "flags", "aria-hidden": "true" }, flags),
    h("div", { class: "tracks", "aria-hidden": "true" },
      h("div", { class: "ticks" }, rules),
      lane("client", bar("client", 0, at.request_end, "sends the request")),
      lane("streamgauge", ...ours(found, at).map(({ from, to }) => bar("ours", from, to, "routes, waits for a connection"))),
      lane("upstream", ...upstream),
      ...tries),
  ];
}

/**
 * Puts the labels of marks on as many levels as they need: from the right to the left, each above those whose lines it would lie
 * over. At the right end labels stand on the left of their lines.
 */
function level(plot) {
  fit(plot);
  const width = plot.querySelector(".flags")?.clientWidth ?? 0;
  if (!width) return;
  const flags = [...plot.querySelectorAll(".flag")].map((flag) => ({ flag, x: flag.offsetLeft, size: flag.firstElementChild.offsetWidth + 4 }));
  const placed = [];
  const put = (one, from, to) => {
    const under = placed.filter((other) => (other.x >= from && other.x <= to) || (other.from < to && other.to > from));
    const at = under.length ? 1 + Math.max(...under.map((other) => other.level)) : 0;
    placed.push({ ...one, from, to, level: at });
    one.flag.style.setProperty("--level", String(at));
  };
  const turned = flags.filter(({ x, size }) => x + size > width);
  for (const one of turned) {
    one.flag.classList.add("turned");
    put(one, one.x - one.size, one.x);
  }
  for (const one of flags.filter((one) => !turned.includes(one)).reverse()) {
    one.flag.classList.remove("turned");
    put(one, one.x, one.x + one.size);
  }
  plot.style.setProperty("--levels", String(1 + Math.max(0, ...placed.map((one) => one.level))));
}

/** The marks as a list: what a screen reader reads, and the distances from one to the next. */
function list(marks, stalls) {
  const all = [...marks.map(({ name, at_ms: ms }) => [ms, NAMES[name] ?? name, ""]), ...stalls.map(({ at_ms: ms, gap_ms: gap }) => [ms, `went on after a stall of ${duration(gap)}`, "odd"])].sort((a, b) => a[0] - b[0]);
  return h("details", { class: "marks" }, h("summary", {}, `${all.length} instants`), h("table", { class: "plain" },
    h("thead", {}, h("tr", {}, ["Instant", "After", "Since the one before"].map((name, at) => h("th", { scope: "col", class: at ? "n" : "" }, name)))),
    h("tbody", {}, all.map(([ms, name, kind], at) => h("tr", {}, h("td", { class: kind }, name), h("td", { class: "n" }, duration(ms) || "0"), h("td", { class: "n quiet" }, at ? `+${duration(ms - all[at - 1][0])}` : ""))))));
}
