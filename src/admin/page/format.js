// Figures as people read them. `null` is "not observed" and becomes nothing, or a dash where a place needs one.

export const DASH = "–";

/** A duration in milliseconds, with three significant digits and its unit. */
export function duration(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 0.9995) return `${Math.round(ms * 1000)} µs`;
  if (ms < 9.995) return `${ms.toFixed(2)} ms`;
  if (ms < 99.95) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 9995) return `${(ms / 1000).toFixed(2)} s`;
  if (ms < 59950) return `${(ms / 1000).toFixed(1)} s`;
  const s = Math.round(ms / 1000);
  if (s < 3600) return `${Math.floor(s / 60)}m ${String(s % 60).padStart(2, "0")}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h ${String(Math.floor((s % 3600) / 60)).padStart(2, "0")}m`;
  return `${Math.floor(s / 86400)}d ${Math.floor((s % 86400) / 3600)}h`;
}

/** A duration for the label of an axis. */
export function short(ms) {
  if (ms >= 3_600_000) return `${trim(ms / 3_600_000)} h`;
  if (ms >= 60_000) return `${trim(ms / 60_000)} min`;
  if (ms >= 1000) return `${trim(ms / 1000)} s`;
  if (ms === 0) return "0";
  if (ms >= 1) return `${trim(ms)} ms`;
  return `${trim(ms * 1000)} µs`;
}

const trim = (n) => String(Number(n.toPrecision(3)));

/** A whole number with its thousands apart. */
export const count = (n) => (n === null || n === undefined ? "" : n.toLocaleString("en"));

/** A number in four characters: 934, 1.24k, 18.2M. */
export function brief(n) {
  if (n === null || n === undefined) return "";
  for (const [size, unit] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (n >= size * 0.9995) return `${Number((n / size).toPrecision(3))}${unit}`;
  }
  return n >= 100 || Number.isInteger(n) ? String(Math.round(n)) : n >= 1 ? n.toFixed(1) : n === 0 ? "0" : n.toFixed(2);
}

/** A rate per second. */
export const rate = (n) => (n >= 1000 ? brief(n) : n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n.toFixed(2));

/** An amount in USD, from an exact decimal; small ones to the millionth. */
export function usd(text) {
  if (text === null || text === undefined) return "";
  const n = Number(text);
  if (n === 0) return "$0";
  if (n < 0.000001) return "<$0.000001";
  if (n < 0.01) return `$${n.toFixed(n < 0.001 ? 6 : 5)}`;
  if (n < 10) return `$${n.toFixed(n < 1 ? 4 : 3)}`;
  return `$${n.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

/** Why there is no cost: without usage there is nothing that a price could be of. */
export const unpriced = ({ input_tokens: read, output_tokens: made }) => ((read ?? null) === null && (made ?? null) === null ? "no usage" : "no price");

/** Bytes, by 1,024. */
export function bytes(n) {
  if (n === null || n === undefined) return "";
  if (n < 1024) return `${n} B`;
  for (const [size, unit] of [[2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]]) {
    if (n >= size) return `${Number((n / size).toPrecision(3))} ${unit}`;
  }
  return "";
}

/** A share of 0 to 1. */
export function percent(share) {
  if (share === null || share === undefined || Number.isNaN(share)) return "";
  const p = share * 100;
  // Nearly all is not all.
  const isNearlyAll = p > 99 && p < 99.95;
  return `${p === 0 || (p >= 9.95 && !isNearlyAll) ? Math.round(p) : p.toFixed(1)} %`;
}

/** Hours, minutes and seconds of a wall clock. */
export const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");

/** With milliseconds. */
export const instant = (ms) => `${clock(ms)}.${String(Math.floor(ms) % 1000).padStart(3, "0")}`;

/** With its date. */
export const dated = (ms) => `${new Date(ms).toLocaleDateString("en-CA")} ${instant(ms)}`;

/** How long ago, in one unit. */
export function ago(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s ago`;
  if (s < 3600) return `${Math.round(s / 60)} min ago`;
  return s < 172_800 ? `${Math.round(s / 3600)} h ago` : `${Math.round(s / 86_400)} days ago`;
}

/** How an exchange ended, in words. */
export const ENDS = {
  done: "done",
  finish_without_done: "no [DONE]",
  done_without_finish: "no finish reason",
  http_error: "HTTP error",
  error_event: "error event",
  cut: "cut by upstream",
  client_left: "client left",
  timeout: "timeout",
  refused: "refused",
  rejected: "rejected",
};

const FAILURES = new Set(["http_error", "error_event", "cut", "timeout", "refused", "rejected"]);

/** `bad`, `odd` or `good`: what colour an exchange's end has. */
export function verdict(row) {
  if (row.error || FAILURES.has(row.end)) return "bad";
  return row.end === "done" ? "good" : "odd";
}

/** What to say of its end. */
export function story(row) {
  const end = ENDS[row.end] ?? row.end ?? "";
  if (!row.error) return end;
  return row.end === "http_error" ? row.error : `${end} · ${row.error}`;
}

/** The model, or the request where there is none. */
export const title = (row) => row.model ?? (row.method ? `${row.method} ${row.path ?? ""}` : "(no request)");

/** A term of the query language; quoted where its value needs that. */
export function term(field, value) {
  const text = String(value);
  return /[\s"|*\\]/.test(text) ? `${field}:"${text.replace(/["\\]/g, "\\$&")}"` : `${field}:${text}`;
}

/** Round numbers from 0 to `max`, about `wanted` of them. */
export function ticks(max, wanted) {
  const raw = max / Math.max(1, wanted);
  const size = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((n) => n * size).find((n) => n >= raw);
  const all = [];
  for (let at = 0; at <= max * 1.0001; at += step) all.push(at);
  return all;
}

/** Round instants of an axis of time in milliseconds: by 1, 2, 5, 10, 15, 30 seconds, minutes, hours. */
export function timeTicks(max, wanted) {
  const raw = max / Math.max(1, wanted);
  if (raw < 1000) return ticks(max, wanted);
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 28_800, 86_400];
  const step = (steps.find((s) => s * 1000 >= raw) ?? 86_400) * 1000;
  const all = [];
  for (let at = 0; at <= max * 1.0001; at += step) all.push(at);
  return all;
}
