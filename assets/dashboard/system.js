// System: the process, the machine and the runtime; the exporters and queues; the series by metric; the endpoints.

import { html, useState } from "./preact.js";
import { duration, measure, since } from "./format.js";
import { Panel } from "./panel.js";
import { Card, CopyButton, Failure, Loading, Missing, State, Table } from "./parts.js";
import { about, BASE, fill, link, now, panelsOf, useFetch, useQueries } from "./store.js";

export default function System() {
  const { data: status, error, reload } = useFetch("status", 2000);
  const { features } = about.value;
  const charts = panelsOf("system").filter((panel) => panel.draw !== "table");
  return html`
    ${error && !status ? html`<${Failure} what="The status could not be read." error=${error} retry=${reload} />` : html`<${Facts} status=${status} />`}
    <div class="grid chart-rows-4">${charts.map((panel) => html`<${Panel} key=${panel.id} panel=${panel} height=${150} />`)}</div>
    <div class="grid">
      <${Exporters} exporters=${status?.exporters} hasTraces=${features.traces} />
      ${features.alerting && html`<${Cardinality} />`}
      <${Configuration} status=${status} />
      <${Endpoints} />
    </div>`;
}

function Facts({ status }) {
  if (!status) return html`<${Loading} />`;
  const facts = [
    ["service", status.service],
    ["environment", status.environment ?? "none"],
    ["llm-observatory", status.version],
    ["up", duration(status.uptime_seconds)],
    ["listens on", status.listen ?? "the application's server"],
    ["metrics", measure(status.metrics, "count")],
    ["series", measure(status.series, "count")],
    ["observations", measure(status.observations, "count")],
    ["dropped observations", status.dropped_observations],
    ["refused requests", status.refused_requests],
    ["closed connections", status.closed_connections],
    ...(status.alerts ? [["rules", `${status.alerts.rules}${status.alerts.failing_rules > 0 ? `, ${status.alerts.failing_rules} failing` : ""}`], ["outbox", status.alerts.outbox]] : []),
    ["steps of the clock", status.clock?.steps ?? 0],
  ];
  const problems = [...(status.problems ?? []), ...(status.alerts?.store_problem ? [status.alerts.store_problem] : [])];
  return html`<${Card} title="Monitoring" actions=${html`<${State} state=${problems.length > 0 ? "warning" : "ok"}>${problems.length > 0 ? `${problems.length} ${problems.length === 1 ? "problem" : "problems"}` : "no problem"}<//>`}>
    ${problems.map((problem) => html`<p class="failure" key=${problem}><bdi>${problem}</bdi></p>`)}
    <dl class="facts">${facts.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd><bdi>${value}</bdi></dd></div>`)}</dl>
    <p class="chips components">${Object.entries(status.components).map(([name, isOn]) => html`<span class="label-chip" key=${name}>${name} <${State} state=${isOn ? "ok" : "unknown"}>${isOn ? "on" : "off"}<//></span>`)}</p>
  <//>`;
}

function Exporters({ exporters, hasTraces }) {
  return html`<${Card} title="Exporters of traces">
    ${!hasTraces
      ? html`<${Missing} what="Exporters are" feature="otlp" />`
      : !exporters
        ? html`<${Loading} height=${60} />`
        : exporters.length === 0
          ? html`<p class="faint">No exporter: traces are only shown here. <code>OTEL_EXPORTER_OTLP_ENDPOINT</code> sends them to a collector, too.</p>`
          : html`<ul class="answers">${exporters.map((one) => html`<li key=${one.exporter ?? one.name}><${State} state=${one.last_failure ? "warning" : "ok"}>${one.last_failure ? "has failed" : "ok"}<//> <strong>${one.exporter ?? one.name}</strong> <bdi class="faint">${one.address ?? ""}</bdi>
              <${Numbers} of=${one} /> ${one.last_failure && html`<span class="faint"><bdi>${one.last_failure.reason}</bdi>, ${since(one.last_failure.unix_seconds * 1000, now())} ago</span>`}</li>`)}</ul>`}
  <//>`;
}

function Numbers({ of }) {
  const numbers = Object.entries(of).filter(([, value]) => typeof value === "number");
  return html`<span class="faint">${numbers.map(([name, value]) => `${name.replaceAll("_", " ")} ${value.toLocaleString("en")}`).join(" · ")}</span>`;
}

function Cardinality() {
  const panel = panelsOf("system").find((one) => one.draw === "table");
  const { results, isLoading } = useQueries([...panel.queries.map(({ expr }) => ({ expr: fill(expr), isInstant: true })), { expr: "count(observatory_series)", isInstant: true }]);
  const [wanted, setWanted] = useState("");
  const overflowed = new Map((results[1]?.data?.result ?? []).map(({ metric, value }) => [metric.metric, Number(value[1])]));
  const rows = (results[0]?.data?.result ?? []).map(({ metric, value }) => ({ metric: metric.metric, series: Number(value[1]), overflowed: overflowed.get(metric.metric) ?? 0 }));
  const total = Number(results[2]?.data?.result?.[0]?.value[1] ?? rows.length);
  const shown = rows.filter((row) => row.metric.includes(wanted));
  const columns = [
    { title: "Metric", isText: true, value: (row) => row.metric, cell: (row) => html`<code>${row.metric}</code>` },
    { title: "Series", value: (row) => row.series, unit: "count" },
    { title: "Overflowed", value: (row) => row.overflowed, cell: (row) => (row.overflowed > 0 ? html`<${State} state="warning">${measure(row.overflowed, "count")}<//>` : "0") },
  ];
  return html`<${Card} title=${panel.title} note=${panel.question} class="cardinality" actions=${html`<span class="faint">${shown.length} of ${measure(total, "count")} metrics</span>`}>
    <p class="filters"><input type="search" data-search placeholder="Filter metrics" aria-label="Filter metrics" value=${wanted} onInput=${(event) => setWanted(event.target.value)} /></p>
    ${isLoading ? html`<${Loading} />` : html`<${Table} label="Table of series" columns=${columns} rows=${shown} keyOf=${(row) => row.metric} initial=${{ at: 1, isDown: true }} hrefOf=${(row) => link("explore", [], { q: `topk(10, {__name__=~"${row.metric}(_count)?"})`, tab: "table" })} />`}
  <//>`;
}

function Configuration({ status }) {
  const { data, error } = useFetch(about.value.features.configuration ? "api/observatory/configuration" : "", 30_000);
  return html`<${Card} title="Configuration" width=${6}>
    ${!about.value.features.configuration
      ? html`<p class="faint">This version does not serve its configuration. It logs notices about it at the start, and <code>/status</code> lists the problems.</p>${status && html`<${CopyButton} text=${() => JSON.stringify(status, null, 2)}>Copy the status as JSON<//>`}`
      : error
        ? html`<${Failure} what="The configuration could not be read." error=${error} />`
        : html`<pre tabindex="0"><code>${JSON.stringify(data, null, 2)}</code></pre>`}
  <//>`;
}

function Endpoints() {
  const { metricsPath, healthPath, features } = about.value;
  const listed = [
    [metricsPath, "Prometheus text or OpenMetrics"],
    [`${metricsPath}?format=json`, "the same series as JSON"],
    [healthPath, "health report"],
    ["/status", "status of the observatory"],
    ...(features.alerting
      ? [
          ["/api/v1/alerts", "pending and firing alerts"],
          ["/api/v1/rules", "alerting and recording rules"],
          ["/runbooks", "a page for each default rule"],
          ["/api/observatory/export/rules", "rules as a Prometheus rule file"],
          ["/api/observatory/export/alertmanager", "routes as an Alertmanager configuration"],
          ["/api/observatory/export/grafana/overview", "dashboard for Grafana: overview"],
          ["/api/observatory/export/grafana/models", "dashboard for Grafana: models"],
          ["/api/observatory/export/grafana/alerts", "dashboard for Grafana: alerts"],
          ["/api/observatory/export/grafana/system", "dashboard for Grafana: system"],
        ]
      : []),
  ];
  return html`<${Card} title="Endpoints" width=${6}><ul class="answers">${listed.map(([path, text]) => html`<li key=${path}><a href=${new URL(path.slice(1), BASE).href}><code>${path}</code></a> <span class="faint">${text}</span></li>`)}</ul><//>`;
}
