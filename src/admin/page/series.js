// Series over time, by uPlot: it is told what to draw, in the theme's colours, and takes the width that it has.
import { colour } from "./dom.js";
import { clock } from "./format.js";

const GRID = 1;

/**
 * A chart in `root`. `lines` are `{name, colour, fill, bars, format}`; `told(index)` is called as the pointer moves, with
 * `null` when it leaves. Without `axes` it is a spark line.
 */
export function chart(root, { lines, height, axes, format, sync, told, signal }) {
  let plot = null;
  let data = [[], ...lines.map(() => [])];

  const build = () => {
    plot?.destroy();
    const width = root.clientWidth;
    if (!width) return (plot = null);
    plot = new window.uPlot(options(width), data, root);
  };

  const axis = () => ({
    stroke: colour("quiet"),
    font: `11px ${colour("sans")}`,
    grid: { stroke: colour("line"), width: GRID },
    ticks: { show: false },
  });

  const options = (width) => ({
    width,
    height,
    // On the right there is room for half a label.
    padding: axes ? [8, 22, 0, 0] : [2, 0, 0, 0],
    legend: { show: false },
    cursor: axes
      ? { y: false, points: { size: 5 }, drag: { x: false, y: false }, sync: sync ? { key: sync } : undefined }
      : { show: false },
    select: { show: false },
    scales: { x: { time: true }, y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high || 1) * 1.08] } },
    axes: axes
      ? [
          { ...axis(), grid: { show: false }, size: 22, gap: 4, space: 70, values: (_, at) => at.map((s) => clock(s * 1000).slice(0, at.length > 1 && at[1] - at[0] < 60 ? 8 : 5)) },
          { ...axis(), size: 44, gap: 6, space: 34, values: (_, at) => at.map(format) },
        ]
      : [{ show: false }, { show: false }],
    series: [{}, ...lines.map((line) => drawn(line))],
    hooks: { setCursor: [(u) => told?.(u.cursor.idx ?? null)] },
  });

  const drawn = (line) => ({
    label: line.name,
    stroke: colour(line.colour),
    width: line.bars ? 0 : 1.5,
    fill: line.fill ? colour(line.fill) : undefined,
    paths: line.bars ? window.uPlot.paths.bars({ size: [0.7, 14], align: 1 }) : undefined,
    points: { show: false },
    spanGaps: false,
  });

  const observer = new ResizeObserver(() => {
    const width = root.clientWidth;
    if (!plot) build();
    else if (width && Math.abs(width - plot.width) > 1) plot.setSize({ width, height });
  });
  observer.observe(root);
  document.addEventListener("theme", build, { signal });
  signal.addEventListener("abort", () => {
    observer.disconnect();
    plot?.destroy();
  });

  return {
    /** Columns: instants in seconds, then one for each line. */
    put(columns) {
      data = columns;
      if (plot) plot.setData(columns);
      else build();
    },
  };
}
