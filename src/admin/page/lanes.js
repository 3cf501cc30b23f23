// Streams in flight as lanes on one scale of time, that of roots: the wait for a first token is seen beside a stream of minutes. The width of a stream is how fast it flows, as it was seen from one look
// to the next; what flowed before the first look is drawn at its mean, lighter.
import { colour, h, paint, say } from "./dom.js";
import { brief, duration, short, title } from "./format.js";

/** As many looks at a stream are kept, and drawn. */
const LOOKS = 400;
const WORDS = { waiting: "waiting", answered: "answered", generating: "generating", stalled: "stalled" };

/** The lanes; `put(facts)` for each look, `draw(now)` for each frame. */
export function lanes(empty) {
  const list = h("ol", { class: "lanes-list" });
  const axis = h("canvas", { class: "lanes-axis", "aria-hidden": "true" });
  const head = h("div", { class: "lane head", "aria-hidden": "true" },
    h("span", { class: "who" }, "model"), h("span", { class: "flow" }, axis),
    h("span", { class: "n state-word" }, "state"), h("span", { class: "n" }, "chunks"), h("span", { class: "n per" }, "chunks/s"), h("span", { class: "n ttft" }, "TTFT"), h("span", { class: "n" }, "age"));
  const none = h("div", { class: "lanes-none", hidden: true }, empty);
  const element = h("div", { class: "lanes" }, head, list, none);
  const known = new Map();
  // Lanes out of sight are not drawn.
  const sight = new IntersectionObserver((entries) => entries.forEach(({ target, isIntersecting }) => (target.lane.isSeen = isIntersecting)));
  let scale = 5000;
  let most = 0;
  let fastest = 1;

  const put = (facts) => {
    const at = performance.now();
    const seen = new Set();
    for (const exchange of facts.exchanges) {
      seen.add(exchange.id);
      let lane = known.get(exchange.id);
      if (!lane) {
        known.set(exchange.id, (lane = laneOf(exchange)));
        lane.canvas.lane = lane;
        sight.observe(lane.canvas);
      }
      lane.take(exchange, at);
    }
    for (const [id, lane] of known) {
      if (seen.has(id)) continue;
      sight.unobserve(lane.canvas);
      lane.element.remove();
      known.delete(id);
    }
    const wanted = facts.exchanges.map(({ id }) => known.get(id).element);
    if (wanted.some((lane, n) => list.children[n] !== lane)) list.replaceChildren(...wanted);
    // What stands below does not move up and down with each stream.
    most = Math.max(most, Math.min(wanted.length, 12));
    element.style.setProperty("min-block-size", `${25 + most * 30}px`);
    none.hidden = wanted.length > 0;
    head.hidden = wanted.length === 0;
    fastest = Math.max(1, ...[...known.values()].map((lane) => lane.fastest()));
  };

  const draw = (now) => {
    const oldest = Math.max(2000, ...[...known.values()].map((lane) => lane.age(now)));
    // The scale grows at once and shrinks slowly, so that bars do not jump when the oldest stream ends.
    const wanted = oldest * 1.06;
    scale = wanted > scale ? wanted : scale + (wanted - scale) * 0.03;
    const marks = marksOf(scale, axis.clientWidth);
    paint(axis, (context, width) => axisOf(context, width, marks, scale));
    for (const lane of known.values()) if (lane.isSeen) lane.draw(now, scale, fastest, marks);
  };

  return { element, put, draw };
}

/** Where an age lies, as a share of the width. */
const share = (ms, scale) => Math.sqrt(Math.max(0, ms) / scale);

const AGES = [0.1, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14_400, 28_800, 86_400].map((s) => s * 1000);

/** Ages to mark: as many as have room, the oldest first. */
function marksOf(scale, width) {
  const marks = [];
  let right = width + 20;
  for (const age of AGES.filter((ms) => ms <= scale).reverse()) {
    const x = share(age, scale) * width;
    if (right - x < 58 || x < 50) continue;
    marks.push(age);
    right = x;
  }
  return [...marks, 0];
}

function axisOf(context, width, marks, scale) {
  context.font = `11px ${colour("sans")}`;
  context.fillStyle = colour("quiet");
  context.textBaseline = "middle";
  for (const mark of marks) {
    const x = share(mark, scale) * width;
    const text = short(mark);
    if (x + context.measureText(text).width > width) continue;
    context.textAlign = x < 8 ? "left" : "center";
    context.fillText(text, x, 9);
  }
}

function laneOf(exchange) {
  const cells = { state: h("span", { class: "n state-word" }), chunks: h("span", { class: "n" }), per: h("span", { class: "n per" }), ttft: h("span", { class: "n ttft" }), age: h("span", { class: "n" }) };
  const canvas = h("canvas", { "aria-hidden": "true" });
  const name = h("span", { class: "model" });
  const upstream = h("span", { class: "upstream" });
  const element = h("li", { class: "lane" }, h("span", { class: "who" }, name, upstream), h("span", { class: "flow" }, canvas), ...Object.values(cells));
  /** Looks: age, chunks; and what they make: from, to, chunks a second. */
  let looks = [];
  let rates = [];
  let facts = exchange;
  let at = 0;

  const age = (now) => facts.age_ms + Math.max(0, now - at);
  const rated = () => {
    rates = [];
    for (let n = 1; n < looks.length; n++) {
      const span = looks[n][0] - looks[n - 1][0];
      if (span > 0) rates.push([looks[n - 1][0], looks[n][0], ((looks[n][1] - looks[n - 1][1]) / span) * 1000]);
    }
  };

  return {
    element,
    age,
    canvas,
    isSeen: true,
    fastest: () => Math.max(0, ...rates.map(([, , rate]) => rate)),
    take(next, when) {
      facts = next;
      at = when;
      looks.push([next.age_ms, next.chunks ?? 0]);
      // Of a long stream every second look is enough.
      if (looks.length > LOOKS) looks = looks.filter((_, n) => n % 2 === 0 || n === looks.length - 1);
      rated();
      element.dataset.state = next.state;
      say(name, title(next));
      name.title = `${next.method ?? ""} ${next.path ?? ""}`;
      say(upstream, next.upstream);
      say(cells.state, WORDS[next.state] ?? next.state);
      say(cells.chunks, next.chunks ? brief(next.chunks) : "");
      const last = rates.slice(-4);
      const mean = last.length ? last.reduce((sum, [, , rate]) => sum + rate, 0) / last.length : null;
      say(cells.per, next.chunks && mean !== null ? brief(Number(mean.toPrecision(2))) : "");
      say(cells.ttft, duration(next.time_to_first_token_ms));
      say(cells.age, duration(next.age_ms));
    },
    draw(now, scale, fastest, marks) {
      paint(canvas, (context, width, height) => {
        context.fillStyle = colour("line");
        for (const mark of marks) context.fillRect(Math.round(share(mark, scale) * width), 0, 1, height);
        flow(context, width, height, { facts, age: age(now), scale, fastest, rates, first: looks[0] });
      });
    },
  };
}

/** One stream: the wait as a thin line, the flow as a band, a stall as dots, and where it is now. */
function flow(context, width, height, { facts, age, scale, fastest, rates, first }) {
  const x = (ms) => share(ms, scale) * width;
  const middle = height / 2;
  const ttft = facts.time_to_first_token_ms;
  const begun = ttft ?? age;
  const thick = (rate) => Math.max(1.5, Math.sqrt(Math.min(1, rate / fastest)) * (height - 4));
  context.fillStyle = colour(facts.state === "answered" ? "flow-soft" : "wait");
  context.fillRect(0, middle - 1, x(begun), 2);
  if (ttft !== null) {
    const still = facts.state === "stalled" ? age - (facts.since_last_output_ms ?? 0) : age;
    if (first && first[0] > ttft) {
      const mean = (first[1] / (first[0] - ttft)) * 1000;
      const t = thick(mean);
      context.fillStyle = colour("flow-soft");
      context.fillRect(x(ttft), middle - t / 2, x(rates.length ? Math.min(first[0], still) : still) - x(ttft), t);
    }
    band(context, x, middle, thick, rates, ttft, still);
    if (facts.state === "stalled") dots(context, x(still), x(age), middle);
    context.fillStyle = colour("flow");
    context.fillRect(x(ttft) - 1, 2, 2, height - 4);
  }
  context.fillStyle = colour(facts.state === "stalled" ? "odd" : facts.state === "generating" ? "flow" : "wait");
  context.beginPath();
  context.arc(Math.min(width - 3, x(age)), middle, 3, 0, 2 * Math.PI);
  context.fill();
}

/** The band of what flowed, mirrored about its middle; each look is a point in the middle of its time. */
function band(context, x, middle, thick, rates, from, to) {
  const points = rates.filter(([, end]) => end > from).map(([start, end, rate]) => [(Math.max(start, from) + end) / 2, rate]);
  if (!points.length) return;
  const begin = Math.max(from, rates.find(([, end]) => end > from)[0]);
  const edge = [[begin, points[0][1]], ...points.filter(([at]) => at < to), [to, points.at(-1)[1]]];
  context.fillStyle = colour("flow");
  context.beginPath();
  edge.forEach(([at, rate], n) => context[n ? "lineTo" : "moveTo"](x(at), middle - thick(rate) / 2));
  edge.reverse().forEach(([at, rate]) => context.lineTo(x(at), middle + thick(rate) / 2));
  context.closePath();
  context.fill();
}

function dots(context, from, to, middle) {
  context.fillStyle = colour("odd");
  for (let at = from + 3; at < to - 3; at += 6) context.fillRect(at, middle - 1, 3, 2);
}
