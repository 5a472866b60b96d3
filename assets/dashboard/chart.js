// Draws series with uPlot: lines, stacks and heat maps, with a crosshair, a tooltip, thresholds, and zoom for all charts.

import uPlot from "./uplot.js";
import { html, useEffect, useLayoutEffect, useRef } from "./preact.js";
import { exact, measure, timeOfDay } from "./format.js";
import { about, zoom, zoomOut } from "./store.js";

const HEIGHT = 190;
const SYNC = uPlot.sync("page");
/** Colours of names that mean a state; other names get a colour of the palette. */
const MEANINGS = [
  [/^(500|error|failed.*|firing)$/, "--critical"],
  [/^(4\d\d|timeout|pending)$/, "--warning"],
  [/^502$/, "--series-2"],
  [/^503$/, "--series-6"],
  [/^504$/, "--series-4"],
  [/^(cancelled)$/, "--unknown"],
  [/^(2\d\d|success|value|p95)$/, "--series-1"],
  [/^(3\d\d|p50)$/, "--series-5"],
  [/^p99$/, "--series-7"],
];
const PALETTE_SIZE = 8;
const assigned = new Map();

/** Returns the custom property of the colour of a name. A name has the same colour on every chart. */
export function colorOf(name) {
  if (name.startsWith("--")) return name;
  const meaning = MEANINGS.find(([pattern]) => pattern.test(name));
  if (meaning) return meaning[1];
  if (!assigned.has(name)) {
    let hash = 7;
    for (const char of name) hash = (hash * 31 + char.codePointAt(0)) >>> 0;
    const used = new Set(assigned.values());
    const wanted = hash % PALETTE_SIZE;
    const free = Array.from({ length: PALETTE_SIZE }, (_, at) => (wanted + at) % PALETTE_SIZE).find((at) => !used.has(at));
    assigned.set(name, free ?? wanted);
  }
  return `--series-${assigned.get(name) + 1}`;
}

/** Gives each series of a chart a colour; two series have the same only if there are more of them than colours. */
export function distinct(series) {
  const used = new Set();
  const palette = Array.from({ length: PALETTE_SIZE }, (_, at) => `--series-${at + 1}`);
  return series.map((one) => {
    const wanted = colorOf(one.color ?? one.name);
    const color = used.has(wanted) ? (palette.find((free) => !used.has(free)) ?? wanted) : wanted;
    used.add(color);
    return { ...one, color };
  });
}

/** Resolves a custom property to a colour that a canvas understands. */
export function resolve(property, percent = 100) {
  const probe = document.getElementById("probe");
  probe.style.color = percent === 100 ? `var(${property})` : `color-mix(in srgb, var(${property}) ${percent}%, var(--raised))`;
  return getComputedStyle(probe).color;
}

/** Puts series on common times. `series` have `name` and `points` of `[seconds, value]`. */
function aligned(series, { end, seconds, step }) {
  const first = Math.floor((end - seconds) / step) * step;
  const count = Math.round(seconds / step) + 1;
  const times = Array.from({ length: count }, (_, at) => first + at * step);
  const columns = series.map(({ points }) => {
    const column = new Array(count).fill(null);
    for (const [time, value] of points) {
      const at = Math.round((time - first) / step);
      if (at >= 0 && at < count && Number.isFinite(value)) column[at] = value;
    }
    return column;
  });
  return [times, ...columns];
}

function stacked(columns) {
  const sums = columns[0]?.map(() => 0) ?? [];
  // The first series is at the bottom; a series without a value is drawn with the height 0.
  return columns.map((column) => column.map((value, at) => (value === null && sums[at] === 0 ? null : (sums[at] += value ?? 0))));
}

/** A chart. `frame` has `end`, `seconds` and `step`. `marks` are moments with a label. */
export function Chart({ title, series, frame, unit, draw = "lines", thresholds = [], isLog = false, height = HEIGHT, theme, description }) {
  const root = useRef();
  const kept = useRef({});
  const shape = JSON.stringify([series.map((one) => [one.name, one.color]), draw, unit, isLog, height, theme, thresholds.map((one) => one.label)]);
  kept.current.series = series;
  kept.current.frame = frame;
  kept.current.thresholds = thresholds;

  useLayoutEffect(() => {
    const state = kept.current;
    const plot = new uPlot(options({ draw, unit, isLog, height, state }), dataOf(state, draw), root.current);
    state.plot = plot;
    SYNC.sub(plot);
    const observer = new ResizeObserver(([entry]) => plot.setSize({ width: Math.max(entry.contentRect.width, 120), height }));
    observer.observe(root.current);
    const isDouble = () => zoomOut();
    plot.over.addEventListener("dblclick", isDouble);
    return () => {
      observer.disconnect();
      SYNC.unsub(plot);
      plot.destroy();
      state.plot = undefined;
    };
  }, [shape]);

  useEffect(() => {
    kept.current.plot?.setData(dataOf(kept.current, draw));
  }, [series, frame]);

  return html`<div class="chart" ref=${root} role="img" aria-label=${`${title}. ${description ?? ""}`}></div>`;
}

function dataOf(state, draw) {
  const [times, ...columns] = aligned(state.series, state.frame);
  state.raw = columns;
  if (draw === "heatmap") {
    state.cells = cellsOf(columns);
    return [times, times.map(() => null)];
  }
  if (draw !== "stack") return [times, ...columns];
  return [times, ...stacked(columns).reverse()];
}

/** Converts cumulative buckets to the count of each bucket. */
function cellsOf(columns) {
  return columns.map((column, row) => column.map((value, at) => (value === null ? null : Math.max(0, value - (columns[row - 1]?.[at] ?? 0)))));
}

function options({ draw, unit, isLog, height, state }) {
  const axis = { stroke: resolve("--faint"), font: "11px system-ui, sans-serif", ticks: { show: false } };
  const isHeat = draw === "heatmap";
  const shown = draw === "stack" ? [...state.series].reverse() : state.series;
  const lines = shown.map(({ name, color: key = name }) => {
    const color = resolve(colorOf(key));
    return {
      label: name,
      stroke: color,
      width: 1.6,
      fill: draw === "stack" ? resolve(colorOf(key), 42) : undefined,
      points: { size: 4, fill: color, stroke: color },
    };
  });
  return {
    width: Math.max(state.plot?.width ?? 300, 120),
    height,
    cursor: {
      // Only the crosshair is shared: a selection on one chart is one zoom.
      sync: { key: SYNC.key, setSeries: false, scales: ["x", null], filters: { pub: (kind) => kind === "mousemove" || kind === "mouseleave" } },
      drag: { x: true, y: false, setScale: false },
      points: { show: !isHeat },
    },
    legend: { show: false },
    padding: [10, 8, 0, 0],
    scales: {
      x: { time: true, range: () => [state.frame.end - state.frame.seconds, state.frame.end] },
      y: isHeat
        ? { range: () => [0, Math.max(state.series.length, 1)] }
        : { distr: isLog ? 3 : 1, range: (_, min, max) => rangeOf(min, max, isLog, state.thresholds) },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 26, space: 70, values: (_, times) => times.map((time, at) => clock(time, times[at + 1] - time || times[at] - times[at - 1])) },
      {
        ...axis,
        grid: { stroke: resolve("--line"), width: 1 },
        size: (_, values) => Math.max(44, ...(values ?? []).map((value) => String(value ?? "").length * 6.4 + 14)),
        space: isHeat ? 14 : 34,
        ...(unit?.startsWith("bytes") ? { incrs: Array.from({ length: 50 }, (_, at) => 2 ** at) } : {}),
        ...(isHeat ? { splits: () => state.series.map((_, at) => at + 0.5), values: () => bucketLabels(state.series) } : { values: (_, values) => values.map((value) => (value === null ? "" : measure(value, unit))) }),
      },
    ],
    series: [{}, ...(isHeat ? [{ show: true, paths: () => null, points: { show: false } }] : lines)],
    hooks: {
      drawClear: [(plot) => (state.shadedTo = shade(plot))],
      draw: [(plot) => labelShade(plot, state.shadedTo), (plot) => (isHeat ? heat(plot, state) : undefined), (plot) => drawThresholds(plot, state.thresholds, unit)],
      setCursor: [(plot) => tooltip(plot, state, { unit, isHeat })],
      setSelect: [
        (plot) => {
          const { left, width } = plot.select;
          if (width < 6) return;
          const [start, end] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
          plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          zoom(start, end);
        },
      ],
    },
  };
}

function clock(time, distance) {
  const text = timeOfDay(time * 1000);
  return distance < 60 ? text : text.slice(0, 5);
}

/** Zero-based on a linear scale; thresholds are within the range. */
function rangeOf(min, max, isLog, thresholds) {
  const values = [...thresholds.map((one) => one.value), max ?? 0].filter(Number.isFinite);
  const top = Math.max(...values);
  if (isLog) {
    const low = min > 0 ? 10 ** Math.floor(Math.log10(min)) : 0.001;
    return [low, Math.max(10 ** Math.ceil(Math.log10(Math.max(top, low * 1.01))), low * 10)];
  }
  const bottom = Math.min(min ?? 0, 0);
  return top === bottom ? [bottom, bottom + 1] : [bottom * 1.05, top + (top - bottom) * (thresholds.length > 0 ? 0.2 : 0.08)];
}

function bucketLabels(series) {
  const every = Math.ceil(series.length / 9);
  return series.map(({ le }, at) => (at % every === 0 ? (le === Infinity ? "more" : `≤ ${measure(le, "seconds")}`) : ""));
}

/** Shades the time before the start of the process, which has no history. */
function shade(plot) {
  const started = about.value.startedAt;
  const { ctx, bbox } = plot;
  const to = Math.min(plot.valToPos(started, "x", true), bbox.left + bbox.width);
  if (to <= bbox.left + 2) return;
  ctx.save();
  ctx.fillStyle = resolve("--shade");
  ctx.fillRect(bbox.left, bbox.top, to - bbox.left, bbox.height);
  ctx.restore();
  return to;
}

/** Writes the reason of the shade over the grid. */
function labelShade(plot, to) {
  const { ctx, bbox } = plot;
  const dpr = devicePixelRatio;
  if (!(to - bbox.left > 110 * dpr)) return;
  ctx.save();
  ctx.font = `${11 * dpr}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "bottom";
  const [x, y] = [bbox.left + 6 * dpr, bbox.top + bbox.height - 5 * dpr];
  ctx.fillStyle = resolve("--shade");
  ctx.fillRect(x - 2, y - 12 * dpr, ctx.measureText("before the start").width + 4, 13 * dpr);
  ctx.fillStyle = resolve("--faint");
  ctx.fillText("before the start", x, y);
  ctx.restore();
}

function drawThresholds(plot, thresholds, unit) {
  const { ctx, bbox } = plot;
  for (const { value, label } of thresholds) {
    if (!Number.isFinite(value)) continue;
    const y = plot.valToPos(value, "y", true);
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = resolve("--critical");
    ctx.setLineDash([6, 4]);
    ctx.lineWidth = devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    const isAbove = y - 16 * devicePixelRatio > bbox.top;
    ctx.fillText(`${label} ${measure(value, unit)}`, bbox.left + 6 * devicePixelRatio, isAbove ? y - 4 * devicePixelRatio : y + 13 * devicePixelRatio);
    ctx.restore();
  }
}

function heat(plot, { cells, frame }) {
  const { ctx, bbox } = plot;
  const [times] = plot.data;
  const most = Math.max(1e-9, ...cells.flat().map((value) => value ?? 0));
  const width = Math.max(1, plot.valToPos(times[0] + frame.step, "x", true) - plot.valToPos(times[0], "x", true));
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.fillStyle = resolve("--accent");
  cells.forEach((row, at) => {
    const top = plot.valToPos(at + 1, "y", true);
    const bottom = plot.valToPos(at, "y", true);
    row.forEach((value, index) => {
      if (!(value > 1e-9)) return;
      ctx.globalAlpha = 0.12 + 0.88 * Math.sqrt(value / most);
      ctx.fillRect(plot.valToPos(times[index], "x", true) - width, top + 0.5, width + 0.5, bottom - top - 1);
    });
  });
  ctx.restore();
}

/** Shows the values under the crosshair, the greatest first. Only the chart under the pointer has a tooltip. */
function tooltip(plot, state, { unit, isHeat }) {
  const box = document.getElementById("tooltip");
  const { left, top, idx } = plot.cursor;
  if (!plot.over.matches(":hover")) return;
  if (left === undefined || left < 0 || idx === null || idx === undefined) {
    box.hidden = true;
    return;
  }
  const rows = isHeat ? heatRows(plot, state, top, idx) : lineRows(state, idx, unit);
  if (rows.length === 0) {
    box.hidden = true;
    return;
  }
  box.replaceChildren(line("time", timeOfDay(plot.data[0][idx] * 1000)), ...rows);
  box.hidden = false;
  const bounds = plot.over.getBoundingClientRect();
  const x = bounds.left + left;
  const isRight = x > innerWidth / 2;
  box.style.left = `${isRight ? x - box.offsetWidth - 14 : x + 14}px`;
  box.style.top = `${Math.max(8, Math.min(bounds.top + top - 20, innerHeight - box.offsetHeight - 8))}px`;
}

addEventListener("pointerout", (event) => {
  if (event.target.classList?.contains("u-over")) document.getElementById("tooltip").hidden = true;
});

function line(kind, text, color) {
  const made = document.createElement("div");
  made.className = kind;
  if (color) {
    const swatch = document.createElement("i");
    swatch.style.background = `var(${color})`;
    made.append(swatch);
  }
  made.append(text);
  return made;
}

function lineRows(state, idx, unit) {
  const values = state.series.map(({ name, color = name }, at) => ({ name, color, value: state.raw[at]?.[idx] ?? null }));
  const known = values.filter(({ value }) => value !== null).sort((one, other) => other.value - one.value);
  return known.slice(0, 12).map(({ name, color, value }) => {
    const row = line("row", name, colorOf(color));
    const number = document.createElement("b");
    number.textContent = measure(value, unit);
    number.title = exact(value);
    row.append(number);
    return row;
  });
}

function heatRows(plot, { series, cells }, top, idx) {
  const at = Math.floor(plot.posToVal(top, "y"));
  const value = cells[at]?.[idx];
  if (value === undefined || value === null) return [];
  const low = series[at - 1]?.le ?? 0;
  const to = series[at].le === Infinity ? `more than ${measure(low, "seconds")}` : `${measure(low, "seconds")} to ${measure(series[at].le, "seconds")}`;
  return [line("row", `${to}: ${measure(value, "count")}`)];
}

/** A line without axes, for tiles and rows of tables. */
export function Sparkline({ points, frame, color = "--accent", height = 32, label }) {
  const width = 120;
  const known = points.filter(([, value]) => Number.isFinite(value));
  const max = Math.max(...known.map(([, value]) => value), 1e-12);
  const x = (time) => ((time - (frame.end - frame.seconds)) / frame.seconds) * width;
  const y = (value) => height - 2 - (Math.max(value, 0) / max) * (height - 4);
  let path = "";
  let before;
  for (const [time, value] of known) {
    const isGap = before === undefined || time - before > frame.step * 1.5;
    path += `${isGap ? "M" : "L"}${x(time).toFixed(1)} ${y(value).toFixed(1)}${isGap ? "h.01" : ""}`;
    before = time;
  }
  return html`<svg class="spark" viewBox=${`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label=${label}>
    <path d=${path} style=${{ stroke: `var(${color})` }} />
  </svg>`;
}
