// A scale of time for what comes in bursts: pauses in which nothing happens are folded, and marked as such.
import { h } from "./dom.js";
import { duration, short, timeTicks } from "./format.js";

/** A fold is this share of the busy time. */
const FOLD = 0.05;

/** The scale for the turns of a conversation. */
export function axis(turns) {
  const spans = turns
    .flatMap(({ exchange: row, tool_waits: waits }) => [
      [row.started_at_ms, row.started_at_ms + (row.duration_ms ?? 0)],
      ...waits.map((one) => [one.began_at_ms, one.began_at_ms + one.lasted_ms]),
    ])
    .sort((a, b) => a[0] - b[0]);
  const busy = [];
  for (const [from, to] of spans) {
    const last = busy.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else busy.push([from, to]);
  }
  const total = Math.max(1, busy.reduce((sum, [from, to]) => sum + to - from, 0));
  // Short pauses stay as long as they are.
  const longest = Math.max(total * 0.25, 2000);
  const pieces = [];
  let width = 0;
  busy.forEach(([from, to], at) => {
    const pause = at ? from - busy[at - 1][1] : 0;
    const folded = pause > longest;
    if (folded) pieces.push({ from: busy[at - 1][1], to: from, at: width, size: total * FOLD, folded });
    else if (pause) pieces.push({ from: busy[at - 1][1], to: from, at: width, size: pause, folded });
    width += pause ? pieces.at(-1).size : 0;
    pieces.push({ from, to, at: width, size: to - from, folded: false });
    width += to - from;
  });
  width = Math.max(1, width);
  const start = busy[0]?.[0] ?? 0;

  const place = (ms) => {
    const piece = pieces.find(({ to }) => ms <= to) ?? pieces.at(-1);
    if (!piece) return 0;
    const share = piece.to > piece.from ? Math.max(0, Math.min(1, (ms - piece.from) / (piece.to - piece.from))) : 0;
    return (piece.at + share * piece.size) / width;
  };
  const percent = (share) => `${(share * 100).toFixed(3)}%`;
  const folds = pieces.filter(({ folded }) => folded);

  return {
    bar(kind, from, to, title) {
      return h("span", { class: `seg ${kind}`, title, style: { "inset-inline-start": percent(place(from)), "inline-size": percent(place(to) - place(from)) } });
    },
    /** Beside a span of time: behind it, or before it where that has more room. */
    beside(from, to) {
      const [before, behind] = [place(from), 1 - place(to)];
      return behind >= before ? { "inset-inline-start": percent(1 - behind) } : { "inset-inline-end": percent(1 - before) };
    },
    /** Folds as a row shows them. */
    rules: () => folds.map(({ at, size }) => h("span", { class: "fold", style: { "inset-inline-start": percent(at / width), "inline-size": percent(size / width) } })),
    /** The labels of the axis: times since the start, where nothing is folded; else how long each fold is. */
    labels() {
      const named = folds.map(({ at, size, from, to }) => h("span", { class: "fold-name", style: { "inset-inline-start": percent((at + size / 2) / width) } }, `⋯ ${duration(to - from)}`));
      if (folds.length) return [h("span", { class: "tick", style: { "inset-inline-start": "0%" } }, "0"), ...named];
      return timeTicks(width, 6).map((ms) => h("span", { class: "tick", style: { "inset-inline-start": percent(place(start + ms)) } }, short(ms)));
    },
  };
}
