// Models: a table of all, and the page of one.

import { html } from "./preact.js";
import { Sparkline } from "./chart.js";
import { duration, measure, timeOfDay } from "./format.js";
import { Panel } from "./panel.js";
import { Card, Empty, Failure, Loading, Missing, Table } from "./parts.js";
import { about, fill, link, panelOf, panelsOf, quoted, range, route, useFetch, useQueries } from "./store.js";

export default function Models() {
  if (!about.value.features.alerting) return html`<${Missing} what="Models are" feature="alerting" />`;
  const { args, params } = route.value;
  return args[0] === undefined ? html`<${All} />` : html`<${One} model=${args[0]} engine=${params.get("engine") ?? undefined} />`;
}

/** Joins the results of the columns by model and engine. */
function rowsOf(panel, results) {
  const rows = new Map();
  panel.queries.forEach((_, at) => {
    for (const { metric, value } of results[at]?.data?.result ?? []) {
      const { model_id: model = "", engine = "" } = metric;
      const key = JSON.stringify([model, engine]);
      if (!rows.has(key)) rows.set(key, { model, engine, values: [] });
      rows.get(key).values[at] = Number(value[1]);
    }
  });
  return [...rows.values()];
}

function All() {
  const panel = panelOf("models");
  const queries = [...panel.queries.map(({ expr }) => ({ expr: fill(expr), isInstant: true })), { expr: fill(panel.queries[0].expr) }];
  const { results, isLoading, end, seconds, step } = useQueries(queries);
  const error = results.find((result) => result.error);
  const rows = rowsOf(panel, results);
  const courses = new Map((results.at(-1)?.data?.result ?? []).map(({ metric, values }) => [JSON.stringify([metric.model_id ?? "", metric.engine ?? ""]), values.map(([time, value]) => [time, Number(value)])]));
  const courseOf = (row) => courses.get(JSON.stringify([row.model, row.engine])) ?? [];
  const columns = [
    { title: "Model", isText: true, value: (row) => row.model, cell: (row) => html`<bdi>${row.model || "(no model id)"}</bdi>` },
    { title: "Engine", isText: true, value: (row) => row.engine, cell: (row) => html`<bdi>${row.engine}</bdi>` },
    { title: "Course", value: (row) => row.values[0], cell: (row) => html`<${Sparkline} points=${courseOf(row)} frame=${{ end, seconds, step }} height=${24} label=${`Rate of ${row.model}`} />` },
    ...panel.queries.map((query, at) => ({
      title: query.legend,
      value: (row) => row.values[at],
      cell: (row) => mark(query, row.values[at]),
    })),
  ];
  return html`
    <${Card} title=${panel.title} note=${panel.question} width=${12} actions=${html`<span class="faint">${rows.length > 0 ? `${rows.length.toLocaleString("en")} models` : ""}</span>`}>
      ${isLoading
        ? html`<${Loading} />`
        : error
          ? html`<${Failure} what="A query failed." error=${{ message: error.error }} />`
          : rows.length === 0
            ? html`<${Empty} title="No inference in this range"><p>A model appears with its first inference. <a href=${link("overview")}>The overview</a> has the lines to annotate one.</p><//>`
            : html`<${Table} label="Table of models" columns=${columns} rows=${rows} keyOf=${(row) => JSON.stringify([row.model, row.engine])} initial=${{ at: 3, isDown: true }}
                hrefOf=${(row) => link("models", [row.model], { engine: row.engine })} />`}
    <//>
    <div class="grid">
      ${["inferences_by_model", "first_token_by_model", "tokens_by_model", "errors"].map((id) => html`<${Panel} key=${id} panel=${panelOf(id)} />`)}
    </div>`;
}

/** Marks a share of errors with a word for its colour. */
function mark(query, value) {
  const text = measure(value, query.unit);
  if (query.legend !== "Errors" || !(value > 0.01)) return text;
  const state = value > 0.1 ? "critical" : "warning";
  return html`<span class=${`state ${state}`} title=${state}>${state === "critical" ? "✕" : "⚠"} ${text}</span>`;
}

function One({ model, engine }) {
  const selection = `model_id=${quoted(model)}${engine === undefined ? "" : `,engine=${quoted(engine)}`}`;
  const panels = panelsOf("models").filter((panel) => panel.draw !== "table");
  return html`
    <p class="filters"><a href=${link("models")}>← All models</a> <strong><bdi>${model}</bdi></strong> ${engine && html`<span class="chip"><bdi>${engine}</bdi></span>`}
      <a href=${link("traces", [], { model })}>Its traces</a></p>
    <div class="grid">
      ${panels.map((panel) => html`<${Panel} key=${panel.id} panel=${panel} parts=${{ selection }} />`)}
      <${Examples} selection=${selection} />
    </div>`;
}

/** The traces of single slow inferences, from the exemplars of the histogram. */
function Examples({ selection }) {
  const { seconds, end } = range.value;
  const to = Math.floor((end ?? Date.now() / 1000) / 5) * 5 + 5;
  const expr = fill("$Ptime_to_first_token_seconds_bucket{$S}", { selection });
  const { data } = useFetch(`api/v1/query_exemplars?query=${encodeURIComponent(expr)}&start=${to - seconds}&end=${to}`, 5000);
  const found = new Map();
  for (const series of data?.data ?? []) {
    for (const exemplar of series.exemplars) if (exemplar.labels.trace_id) found.set(exemplar.labels.trace_id, exemplar);
  }
  const slowest = [...found.values()].sort((one, other) => Number(other.value) - Number(one.value)).slice(0, 8);
  return html`<${Card} title="Slow examples" note="Single inferences behind the histogram, with their traces" width=${6}>
    ${slowest.length === 0
      ? html`<p class="faint">No exemplar in this range. Exemplars come with sampled traces.</p>`
      : html`<ul class="answers">${slowest.map(({ labels, value, timestamp }) => html`<li key=${labels.trace_id}>
          <a class="exemplar" href=${link("traces", [labels.trace_id])}>${duration(Number(value))} to the first token</a> <span class="faint">${timeOfDay(timestamp * 1000)}</span>
        </li>`)}</ul>`}
  <//>`;
}
