// Draws a panel of the table of panels: its queries, its chart, its legend, and the ways to go on from it.

import { html, useState } from "./preact.js";
import { Chart, colorOf, distinct, Sparkline } from "./chart.js";
import { exact, legend, measure } from "./format.js";
import { Card, copy, Empty, Failure, Loading } from "./parts.js";
import { fill, link, rateWindow, theme, useQueries } from "./store.js";

/** The series that a chart shows before the reader asks for all. */
const MAX_SERIES = 10;

/** The queries of a panel, with their placeholders replaced. */
export const queriesOf = (panel, parts) => panel.queries.map(({ expr }) => ({ expr: fill(expr, parts) }));

/** Converts the results of a panel's queries to named series. */
export function seriesOf(results, queries) {
  const series = results.flatMap((result, at) =>
    (result.data?.resultType === "matrix" ? result.data.result : []).map(({ metric, values }) => ({
      name: legend(queries[at]?.legend ?? "", metric),
      color: keyOf(queries[at]?.legend ?? "", metric, at),
      metric,
      le: metric.le === "+Inf" ? Infinity : Number(metric.le),
      points: values.map(([time, value]) => [time, Number(value)]),
    })),
  );
  return series.filter((one) => one.points.length > 0);
}

/** The name that a series has its colour by: a model has one colour also where other labels stand beside it. */
function keyOf(template, metric, at) {
  // Names that the panel gives are colours of their own order, so that they take none of the colours of models.
  if (template && !template.includes("{{") && !/^p\d\d$/.test(template)) return `--series-${(at % 8) + 1}`;
  const values = Object.entries(metric).filter(([key]) => key !== "__name__");
  return values.length === 1 && (!template || template.startsWith("{{")) ? values[0][1] : legend(template, metric);
}

const last = (points) => points.at(-1)?.[1];
const peak = (points) => points.reduce((most, [, value]) => (value > most ? value : most), -Infinity);

/** A chart in a card. `parts` are the selection of the queries; `thresholds` add to those of the panel. */
export function Panel({ panel, parts, thresholds, width, height, actions }) {
  const queries = queriesOf(panel, parts);
  const { results, isLoading, end, seconds, step } = useQueries(queries);
  const [isLog, setLog] = useState(false);
  const [isAll, setAll] = useState(false);
  const [hidden, setHidden] = useState([]);
  const error = results.find((result) => result.error)?.error;
  const found = seriesOf(results, panel.queries);
  const isHeat = panel.draw === "heatmap";
  if (isHeat) found.sort((one, other) => one.le - other.le);
  else found.sort((one, other) => (panel.queries.length > 1 ? 0 : one.name.localeCompare(other.name)));
  const all = distinct(found);
  const top = isAll || isHeat ? all : [...all].sort((one, other) => peak(other.points) - peak(one.points)).slice(0, MAX_SERIES);
  const shown = all.filter((one) => top.includes(one) && !hidden.includes(one.name));
  const toggle = (name, isOnly) =>
    setHidden(isOnly ? (hidden.length > 0 ? [] : all.map((one) => one.name).filter((one) => one !== name)) : hidden.includes(name) ? hidden.filter((one) => one !== name) : [...hidden, name]);
  const frame = { end, seconds, step };
  const description = all.slice(0, MAX_SERIES).map((one) => `${one.name}: ${measure(last(one.points), panel.unit)}`).join(", ");
  const menu = html`
    ${actions}
    ${panel.unit === "seconds" && !isHeat && html`<button type="button" class="quiet" aria-pressed=${isLog} title="Logarithmic scale" onClick=${() => setLog(!isLog)}>log</button>`}
    <${PanelMenu} panel=${panel} queries=${queries} />`;
  return html`<${Card} title=${panel.title} note=${panel.question} width=${width ?? panel.width} actions=${menu} class="panel">
    ${isLoading
      ? html`<${Loading} height=${height ?? 190} />`
      : error
        ? html`<${Failure} what="The query failed." error=${{ message: error }} />`
        : all.length === 0
          ? html`<div class="nodata" style=${{ height: `${height ?? 190}px` }}><span>${panel.empty || "No data in this range"}</span></div>`
          : html`<${Chart} title=${panel.title} series=${shown} frame=${frame} unit=${panel.unit} draw=${panel.draw} isLog=${isLog} height=${height} theme=${theme.value}
                thresholds=${[...panel.thresholds, ...(thresholds ?? [])]} description=${description} />`}
    ${!isHeat && all.length > 0 && html`<${Legend} all=${all} top=${top} hidden=${hidden} unit=${panel.unit} toggle=${toggle} isAll=${isAll} setAll=${setAll} />`}
  <//>`;
}

function Legend({ all, top, hidden, unit, toggle, isAll, setAll }) {
  const items = all.filter((one) => top.includes(one));
  return html`<ul class="legend">
    ${items.map(({ name, color, points }) => html`<li key=${name}>
      <button type="button" aria-pressed=${!hidden.includes(name)} onClick=${(event) => toggle(name, event.shiftKey)} title="Click to hide; with Shift, to show only this">
        <i style=${{ background: `var(${colorOf(color)})` }}></i><bdi>${name}</bdi> <b title=${exact(last(points))}>${measure(last(points), unit)}</b>
      </button>
    </li>`)}
    ${all.length > items.length || isAll ? html`<li><button type="button" onClick=${() => setAll(!isAll)}>${isAll ? `Show the top ${MAX_SERIES}` : `Top ${items.length} of ${all.length.toLocaleString("en")}: show all`}</button></li>` : undefined}
  </ul>`;
}

/** The ways to go on from a panel. */
function PanelMenu({ panel, queries }) {
  const [said, setSaid] = useState();
  const act = async (text) => {
    setSaid((await copy(text)) ? "Copied" : "Not copied");
    setTimeout(setSaid, 2000, undefined);
  };
  const onKey = (event) => {
    if (event.key !== "Escape") return;
    event.currentTarget.open = false;
    event.currentTarget.querySelector("summary").focus();
    event.stopPropagation();
  };
  return html`<details class="menu" onKeyDown=${onKey} onFocusOut=${(event) => !event.currentTarget.contains(event.relatedTarget) && (event.currentTarget.open = false)}>
    <summary aria-label=${`Actions of ${panel.title}`}>${said ?? "⋯"}</summary>
    <div>
      <p>${panel.question}</p>
      ${queries.map(({ expr }, at) => html`<a key=${at} href=${link("explore", [], { q: expr, unit: panel.unit })}>Open ${queries.length > 1 ? `“${panel.queries[at].legend}” ` : ""}in Explore</a>`)}
      <button type="button" onClick=${() => act(queries.map(({ expr }) => expr).join("\n"))}>Copy as PromQL</button>
      <button type="button" onClick=${() => act(grafanaPanel(panel.title, panel.unit, queries.map(({ expr }) => expr), panel.queries.map((query) => query.legend)))}>Copy as Grafana panel</button>
    </div>
  </details>`;
}

const GRAFANA_UNITS = { count: "short", per_second: "reqps", tokens_per_second: "cps", seconds: "s", ratio: "percentunit", bytes: "bytes", bytes_per_second: "Bps", cores: "none" };

/** Writes a panel that Grafana's "paste panel" accepts. */
export function grafanaPanel(title, unit, exprs, legends = []) {
  const targets = exprs.map((expr, at) => ({
    refId: String.fromCodePoint(65 + at),
    expr: expr.replaceAll(`[${rateWindow.value}]`, "[$__rate_interval]"),
    legendFormat: legends[at] || "__auto",
    range: true,
  }));
  const panel = { type: "timeseries", title, targets, fieldConfig: { defaults: { unit: GRAFANA_UNITS[unit] ?? "short" }, overrides: [] }, gridPos: { x: 0, y: 0, w: 12, h: 8 } };
  return JSON.stringify(panel, null, 2);
}

/** A number with its course, and the number one hour earlier. */
export function Tile({ panel }) {
  const expr = (offset) => fill(panel.queries[0].expr, { offset });
  const queries = [{ expr: expr("") }, { expr: expr(""), isInstant: true }, { expr: expr(" offset 1h"), isInstant: true }];
  const { results, isLoading, end, seconds, step } = useQueries(queries);
  const number = (at) => {
    const data = results[at]?.data;
    const value = data?.resultType === "vector" ? data.result[0]?.value[1] : undefined;
    return value === undefined ? undefined : Number(value);
  };
  const [present, before] = [number(1), number(2)];
  const points = results[0]?.data?.result?.[0]?.values.map(([time, value]) => [time, Number(value)]) ?? [];
  const text = measure(present, panel.unit);
  const [, figure, unit] = text.match(/^([^\s/]+)(.*)$/) ?? [undefined, text, ""];
  return html`<a class="tile card" href=${link("explore", [], { q: expr(""), unit: panel.unit })} title=${panel.question} style=${{ "--columns": 2 }}>
    <span class="tile-title">${panel.title}</span>
    <span class="tile-value" title=${exact(present)}>${isLoading ? "\u00a0" : figure}<small>${isLoading ? "" : unit}</small></span>
    ${points.length > 0 ? html`<${Sparkline} points=${points} frame=${{ end, seconds, step }} label=${`Course of ${panel.title}`} />` : html`<span class="spark"></span>`}
    <span class="tile-before">${isLoading ? "\u00a0" : before === undefined ? "no value an hour ago" : `an hour ago ${measure(before, panel.unit)}`}</span>
  </a>`;
}
