// A heat map of durations over time: each column one step, each row one bucket of a logarithmic scale, darker for more; the
// percentiles lie over it as lines.
import { colour, h, paint, say } from "./dom.js";
import { clock, count, DASH, duration, short } from "./format.js";
import { stepSize } from "./parts.js";

const LEFT = 52;
const BOTTOM = 20;
const LINES = [["p50", "p50_ms", []], ["p95", "p95_ms", [5, 3]], ["p99", "p99_ms", [2, 2.5]]];

/**
 * The map. `chosen(value, time)` is called for a cell that is clicked: with the bounds of its bucket in ms, `to` nothing for the
 * last one, and with those of its step, in ms since the epoch.
 */
export function heatmap({ name, meaning, chosen, shared, signal }) {
  const canvas = h("canvas", { class: "heat", tabindex: "0", role: "img" });
  const readout = h("p", { class: "readout" });
  const when = h("span", { class: "beside" });
  const spoken = h("span", { class: "away", "aria-live": "polite" });
  const newest = Object.fromEntries(LINES.map(([key]) => [key, h("b", {}, DASH)]));
  const element = h("figure", { class: "heatmap" },
    h("figcaption", {}, h("b", { title: meaning }, name), when, LINES.map(([key]) => h("span", { class: `percentile ${key}` }, key, " ", newest[key])), readout),
    canvas, spoken);
  let facts = null;
  let pointer = null;

  const draw = () => facts && paint(canvas, (context, width, height) => drawn(context, width, height, facts, shared.at, pointer));

  const at = (event) => {
    if (!facts) return null;
    const box = canvas.getBoundingClientRect();
    const x = (event.clientX - box.left - LEFT) / (box.width - LEFT);
    const y = 1 - (event.clientY - box.top) / (box.height - BOTTOM);
    if (x < 0 || x >= 1 || y < 0 || y >= 1) return null;
    return { step: Math.floor(x * facts.steps.length), bucket: facts.low + Math.floor(y * (facts.high - facts.low)) };
  };

  const told = () => {
    if (!facts || shared.at === null || shared.at >= facts.steps.length) return say(readout, "");
    const n = shared.at;
    const values = LINES.map(([key, of]) => `${key} ${duration(facts.latency[of][n]) || DASH}`).join("  ");
    const cell = pointer && pointer.step === n ? `  ${range(facts.bounds, pointer.bucket)}: ${count(facts.latency.cells[n]?.[pointer.bucket] ?? 0)}` : "";
    say(readout, `${clock(facts.steps[n].at_ms)}  ${values}${cell}`);
    return readout.textContent;
  };

  canvas.addEventListener("pointermove", (event) => {
    pointer = at(event);
    shared.move(pointer ? pointer.step : null);
  });
  canvas.addEventListener("pointerleave", () => {
    pointer = null;
    shared.move(null);
  });
  canvas.addEventListener("click", (event) => {
    const place = at(event);
    if (!place) return;
    const began = facts.steps[place.step].at_ms;
    chosen({ from: facts.bounds[place.bucket - 1] ?? 0, to: facts.bounds[place.bucket] }, { from: began, to: began + stepSize(facts) });
  });
  canvas.addEventListener("keydown", (event) => {
    if (!facts || !["ArrowLeft", "ArrowRight"].includes(event.key)) return;
    event.preventDefault();
    const from = shared.at ?? facts.steps.length;
    shared.move(Math.max(0, Math.min(facts.steps.length - 1, from + (event.key === "ArrowLeft" ? -1 : 1))));
    say(spoken, readout.textContent);
  });
  shared.all.push(() => (draw(), told()));
  const observer = new ResizeObserver(draw);
  observer.observe(canvas);
  document.addEventListener("theme", draw, { signal });
  signal.addEventListener("abort", () => observer.disconnect());

  return {
    element,
    put(steps, latency, whole) {
      facts = { steps, latency, bounds: latency.bounds_ms, ...extent(latency) };
      const last = newestOf(latency, whole);
      say(when, last < 0 ? "" : `last step, ${short(stepSize({ steps }))} from ${clock(steps[last].at_ms)}:`);
      for (const [key, of] of LINES) say(newest[key], last < 0 ? DASH : duration(latency[of][last]));
      canvas.setAttribute("aria-label", last < 0 ? `${name}: nothing in this range` : `${name} over time as a heat map; of the last step ${LINES.map(([key, of]) => `${key} ${duration(latency[of][last])}`).join(", ")}`);
      element.classList.toggle("bare", last < 0);
      draw();
      told();
    },
  };
}

/** The newest step with any, a whole one where there is one: a step that has just begun says little. */
export function newestOf({ p50_ms: p50 }, whole) {
  const last = p50.slice(0, whole).findLastIndex((ms) => ms !== null);
  return last < 0 ? p50.findLastIndex((ms) => ms !== null) : last;
}

/** What moves over all maps at once. */
export function together() {
  const shared = { at: null, all: [], move: (to) => (shared.at === to && to === null) || ((shared.at = to), shared.all.forEach((one) => one())) };
  return shared;
}

/** The buckets that have anything, and one on either side. */
function extent({ cells, bounds_ms: bounds }) {
  let low = bounds.length;
  let high = 0;
  for (const cell of cells) {
    cell.forEach((n, at) => {
      if (!n) return;
      low = Math.min(low, at);
      high = Math.max(high, at + 1);
    });
  }
  if (low >= high) return { low: 0, high: bounds.length, most: 1 };
  const most = Math.max(...cells.map((cell) => Math.max(0, ...cell)));
  return { low: Math.max(0, low - 1), high: Math.min(bounds.length, high + 1), most };
}

function range(bounds, at) {
  const from = at > 0 ? short(bounds[at - 1]) : "0";
  return bounds[at] === null || bounds[at] === undefined ? `over ${from}` : `${from} – ${short(bounds[at])}`;
}

function drawn(context, width, height, facts, marked, pointer) {
  const { steps, latency, bounds, low, high, most } = facts;
  const [w, t] = [width - LEFT, height - BOTTOM];
  const column = w / Math.max(1, steps.length);
  const row = t / (high - low);
  const y = (bucket) => t - (bucket - low) * row;
  const ramp = rampOf();
  latency.cells.forEach((cell, n) => {
    for (let at = low; at < high; at++) {
      if (!cell[at]) continue;
      context.fillStyle = ramp(most > 1 ? Math.log(cell[at]) / Math.log(most) : 0.3);
      const left = Math.round(LEFT + n * column);
      const right = Math.round(LEFT + (n + 1) * column);
      const top = Math.round(y(at + 1));
      context.fillRect(left, top, Math.max(1, right - left - (column > 5 ? 1 : 0)), Math.max(1, Math.round(y(at)) - top - (row > 5 ? 1 : 0)));
    }
  });
  rules(context, width, t, facts, y);
  times(context, w, t, steps, column);
  percentiles(context, facts, column, y);
  if (marked !== null && marked < steps.length) {
    context.strokeStyle = colour("ink");
    context.lineWidth = 1;
    context.strokeRect(Math.round(LEFT + marked * column) + 0.5, 0.5, Math.max(2, Math.round(column) - 1), t - 1);
    if (pointer && pointer.step === marked) {
      context.fillStyle = colour("ink");
      context.fillRect(LEFT, Math.round(y(pointer.bucket)) - 1, w, 0.5);
      context.fillRect(LEFT, Math.round(y(pointer.bucket + 1)) - 1, w, 0.5);
    }
  }
}

/** Lines at powers of ten, and at 2 and 5 where there is room. */
function rules(context, width, t, facts, y) {
  const { bounds, low, high } = facts;
  context.font = `11px ${colour("sans")}`;
  context.textAlign = "right";
  context.textBaseline = "middle";
  let last = Infinity;
  for (let power = -3; power <= 7; power++) {
    for (const digit of [1, 2, 5]) {
      const ms = digit * 10 ** power;
      const at = place(bounds, ms);
      if (at === null || at < low || at > high) continue;
      const line = y(at);
      if (line < 8 || line > t || last - line < 26) continue;
      if (digit !== 1 && !roomy(bounds, ms, t / (high - low))) continue;
      last = line;
      context.fillStyle = colour("rule");
      context.fillRect(LEFT, Math.round(line), width - LEFT, 1);
      context.fillStyle = colour("quiet");
      context.fillText(short(ms), LEFT - 8, line);
    }
  }
  context.fillStyle = colour("line");
  context.fillRect(LEFT, t, width - LEFT, 1);
}

function roomy(bounds, ms, row) {
  const from = place(bounds, ms);
  const to = place(bounds, ms * 10);
  return from !== null && to !== null ? (to - from) * row > 130 : true;
}

/** Where a duration lies among the buckets, as a fraction; `null` outside of the bounds. */
function place(bounds, ms) {
  const last = bounds.length - 1;
  for (let at = 0; at <= last; at++) {
    const upper = bounds[at];
    if (upper !== null && ms > upper) continue;
    if (upper === null) return at > 0 && ms <= bounds[at - 1] * 2 ? at + 0.5 : at + 0.9;
    const lower = at > 0 ? bounds[at - 1] : upper / ((bounds[1] ?? upper * 2) / upper);
    if (ms < lower) return at > 0 ? at : null;
    return at + Math.log(ms / lower) / Math.log(upper / lower);
  }
  return null;
}

function times(context, w, t, steps, column) {
  if (!steps.length) return;
  context.fillStyle = colour("quiet");
  context.textBaseline = "alphabetic";
  const span = steps.at(-1).at_ms - steps[0].at_ms;
  const wanted = Math.max(2, Math.floor(w / 90));
  // Multiples of a step only, so that each label is a round time.
  const step = steps.length > 1 ? steps[1].at_ms - steps[0].at_ms : 1000;
  const each = [10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600].map((s) => s * 1000).find((ms) => span / ms <= wanted && ms % step === 0) ?? 43_200_000;
  steps.forEach(({ at_ms: at }, n) => {
    const before = n ? steps[n - 1].at_ms : at - 1;
    const offset = new Date(at).getTimezoneOffset() * 60_000;
    if (Math.floor((at - offset) / each) === Math.floor((before - offset) / each)) return;
    const x = LEFT + n * column;
    context.fillRect(Math.round(x), t, 1, 4);
    context.textAlign = x - LEFT < 20 ? "left" : x > LEFT + w - 26 ? "right" : "center";
    context.fillText(clock(at).slice(0, each < 60_000 ? 8 : 5), x, t + 16);
  });
}

function percentiles(context, { latency, bounds }, column, y) {
  for (const [key, of, dash] of [...LINES].reverse()) {
    context.setLineDash(dash);
    context.lineJoin = "round";
    context.beginPath();
    let open = false;
    latency[of].forEach((ms, n) => {
      const at = ms === null ? null : place(bounds, ms);
      if (at === null) return (open = false);
      const x = LEFT + (n + 0.5) * column;
      if (open) context.lineTo(x, y(at));
      else {
        context.moveTo(x - column / 2, y(at));
        context.lineTo(x, y(at));
      }
      open = true;
    });
    context.strokeStyle = colour("halo");
    context.lineWidth = 3.5;
    context.setLineDash([]);
    context.stroke();
    context.setLineDash(dash);
    context.strokeStyle = colour(key);
    context.lineWidth = 1.5;
    context.stroke();
  }
  context.setLineDash([]);
}

let ramped = null;
document.addEventListener("theme", () => (ramped = null));

/** A colour for 0 to 1, between those of the theme's ramp. */
function rampOf() {
  if (ramped) return ramped;
  const stops = colour("heat").split(/\s+/).map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
  ramped = (share) => {
    const at = Math.max(0, Math.min(1, share)) * (stops.length - 1);
    const n = Math.min(stops.length - 2, Math.floor(at));
    const mixed = stops[n].map((from, channel) => Math.round(from + (stops[n + 1][channel] - from) * (at - n)));
    return `rgb(${mixed.join(" ")})`;
  };
  return ramped;
}
