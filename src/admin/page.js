// Shows what ended lately and what is in flight once a second. Everything that came over the wire is set as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);
const ends = {
  done: "done",
  finish_without_done: "no [DONE]",
  done_without_finish: "no finish reason",
  http_error: "HTTP error",
  error_event: "error event",
  cut: "upstream cut",
  client_left: "client left",
  timeout: "timeout",
  refused: "refused",
  rejected: "rejected",
};
const failures = new Set(["http_error", "error_event", "cut", "timeout", "refused", "rejected"]);

function duration(ms) {
  if (ms === null) return "";
  if (ms < 1) return `${Math.round(ms * 1000)} µs`;
  if (ms < 10) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60000) return `${(ms / 1000).toFixed(2)} s`;
  const s = Math.round(ms / 1000);
  return `${Math.floor(s / 60)} min ${s % 60} s`;
}

const count = (n) => (n === null ? "" : n.toLocaleString("en"));
const rate = (ms) => (ms === null || ms === 0 ? "" : (1000 / ms).toFixed(ms > 100 ? 1 : 0));
// An address that stands for every interface is none that a client can go to; the host of this page may be.
const reachable = (url) => url.replace(/\/\/(0\.0\.0\.0|\[::\])(?=[:/])/, `//${location.hostname}`);
const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");

function cell(text, kind, title) {
  const td = document.createElement("td");
  td.textContent = text;
  if (kind) td.className = kind;
  if (title) td.title = title;
  return td;
}

function row(...cells) {
  const tr = document.createElement("tr");
  tr.append(...cells);
  return tr;
}

function empty(columns, text, code) {
  const td = cell(text, "empty");
  td.colSpan = columns;
  if (code) {
    const element = document.createElement("code");
    element.textContent = code;
    td.append(element);
  }
  return row(td);
}

function began(e) {
  const request = `${e.method} ${e.path}`;
  return row(
    cell(e.model ?? request, e.model ? "text" : "text quiet", request),
    cell(e.upstream ?? "", "quiet"),
    cell(e.state, e.state === "waiting" || e.state === "stalled" ? "odd" : "quiet"),
    cell(duration(e.time_to_first_token_ms), "number"),
    cell(count(e.chunks), "number"),
    cell(duration(e.since_last_output_ms), "number"),
    cell(duration(e.age_ms), "number"),
  );
}

function ended(e) {
  // What came in place of a request has neither.
  const request = e.method ? `${e.method} ${e.path}` : "(no request)";
  const good = e.status !== null && e.status < 400;
  const end = ends[e.end] ?? e.end;
  const story = !e.error ? end : e.end === "http_error" ? e.error : `${end} · ${e.error}`;
  const kind = e.error || failures.has(e.end) ? "bad" : e.end === "done" ? "quiet" : "odd";
  return row(
    cell(clock(e.started_at_ms), "quiet"),
    cell(e.model ?? request, e.model ? "text" : "text quiet", request),
    cell(e.upstream ?? "", "quiet"),
    cell(e.status ?? "", good ? "number good" : "number bad"),
    cell(duration(e.time_to_first_token_ms), "number"),
    cell(duration(e.duration_ms), "number"),
    cell(count(e.chunks), "number"),
    cell(count(e.input_tokens), "number"),
    cell(count(e.output_tokens), "number"),
    cell(rate(e.time_per_output_token_ms), "number"),
    cell(count(e.turn), "number", e.conversation && `conversation ${e.conversation}`),
    cell(story, `text ${kind}`, story),
  );
}

function show(list, flying, summary) {
  byId("in-flight-count").textContent = flying.count || "";
  byId("finished-count").textContent = list.total
    ? `newest ${list.exchanges.length} of ${count(list.total)}` : "";
  const open = flying.exchanges.map(began);
  byId("in-flight").replaceChildren(...(open.length ? open : [empty(7, "Nothing at the moment.")]));
  const recent = list.exchanges.map(ended);
  const hint = "No exchange yet. Point a client here: ";
  byId("recent").replaceChildren(
    ...(recent.length ? recent : [empty(12, hint, `OPENAI_BASE_URL=${reachable(summary.base_url)}`)]));
}

function state(text, kind) {
  byId("state").textContent = text;
  byId("state").className = kind;
}

async function poll() {
  try {
    const paths = ["api/exchanges?limit=200", "api/in-flight", "api/summary"];
    const [list, flying, summary] = await Promise.all(
      paths.map(async (path) => (await fetch(path)).json()));
    show(list, flying, summary);
    state(summary.ready ? "live" : "draining", summary.ready ? "live" : "draining");
  } catch {
    state("no connection to streamgauge; trying again", "lost");
  }
  setTimeout(poll, 1000);
}

poll();
