// The overview: one sentence of state, six numbers, what changed, and the charts.

import { html } from "./preact.js";
import { Panel, Tile } from "./panel.js";
import { Card, Empty, Missing, State, useSeconds } from "./parts.js";
import { since, timeOfDay } from "./format.js";
import { about, alerts, connection, health, link, now, panelsOf, range, useFetch, useQueries } from "./store.js";

/** The state of the service: the word, its severity, and since when. */
export function verdict() {
  const report = health.value;
  const firing = alerts.value?.list ?? [];
  if (connection.value.state === "loading") return { state: "unknown", word: "Loading", parts: [] };
  const failed = membersOf(report).filter((member) => ["warning", "critical"].includes(member.state));
  const isUnhealthy = ["unhealthy", "fail"].includes(report?.status);
  const isCritical = isUnhealthy || firing.some((alert) => alert.labels.severity === "critical");
  const isDegraded = isCritical || firing.length > 0 || failed.length > 0 || ["degraded", "warn"].includes(report?.status);
  const state = isCritical ? "critical" : isDegraded ? "warning" : report ? "ok" : "unknown";
  const word = { critical: isUnhealthy ? "Unhealthy" : "Critical", warning: "Degraded", ok: "Healthy", unknown: "Unknown" }[state];
  const began = Math.min(...firing.map((alert) => Date.parse(alert.activeAt)), ...failed.map((member) => member.since ?? Infinity));
  return { state, word, firing, failed, since: Number.isFinite(began) ? began : undefined };
}

/** The members of a health report, whatever of them the service sends. */
export function membersOf(report) {
  const checks = report?.checks ?? [];
  // The service's own report has a list; the format of draft-inadarei-api-health-check has a map of lists.
  const named = Array.isArray(checks) ? checks.map((check) => [check.name, check]) : Object.entries(checks);
  return named.flatMap(([name, found]) =>
    (Array.isArray(found) ? found : [found]).map((check) => {
      const status = String(check?.status ?? "unknown").toLowerCase();
      const state = { healthy: "ok", pass: "ok", up: "ok", degraded: "warning", warn: "warning", unhealthy: "critical", fail: "critical", down: "critical" }[status] ?? "unknown";
      const began = check?.since ?? check?.since_unix_ms ?? check?.changed_at;
      return { name, ...check, status, state, since: typeof began === "string" ? Date.parse(began) : began };
    }),
  );
}

export default function Overview() {
  const { features } = about.value;
  if (!features.alerting) {
    return html`<${Sentence} /><${Missing} what="Charts are" feature="alerting" lines=${'llm-observatory = { version = "…", features = ["alerting"] }'} />`;
  }
  const panels = panelsOf("overview");
  const tiles = panels.filter((panel) => panel.draw === "tile");
  const [first, ...charts] = panels.filter((panel) => panel.draw !== "tile");
  return html`
    <${Sentence} />
    <${Nothing} />
    <div class="grid">
      ${tiles.map((panel) => html`<${Tile} key=${panel.id} panel=${panel} />`)}
      <${Panel} panel=${first} />
      <${Timeline} />
      ${charts.map((panel) => html`<${Panel} key=${panel.id} panel=${panel} />`)}
    </div>`;
}

/** The state in one sentence, with the deciding members. */
function Sentence() {
  useSeconds();
  const { state, word, firing = [], failed = [], since: began } = verdict();
  const parts = [
    ...failed.map((member) => html`<a href=${link("health")}><bdi>${member.name}</bdi>${member.message ? `: ${member.message}` : ` is ${member.status}`}</a>`),
    firing.length > 0 && html`<a href=${link("alerts")}>${firing.length} ${firing.length === 1 ? "alert fires" : "alerts fire"}: <bdi>${[...new Set(firing.map((alert) => alert.labels.alertname))].slice(0, 3).join(", ")}</bdi></a>`,
  ].filter(Boolean);
  return html`<p class=${`sentence ${state}`} role="status">
    <${State} state=${state}><strong>${word}</strong><//>
    <span>${began !== undefined && state !== "ok" ? `for ${since(began, now())}: ` : ""}${parts.length > 0 ? parts.map((part, at) => [at > 0 && "; ", part]) : state === "ok" ? "no alert fires, no check fails" : ""}</span>
    <span class="faint">up ${since(about.value.startedAt * 1000, now())}</span>
  </p>`;
}

/** The lines to paste while there is nothing to see. */
function Nothing() {
  const { prefix } = about.value;
  const { results, isLoading } = useQueries([{ expr: `count({__name__=~"${prefix}(model_inference_total|http_requests_total)"})`, isInstant: true }]);
  const count = Number(results[0]?.data?.result?.[0]?.value[1] ?? 0);
  if (isLoading || count > 0) return undefined;
  return html`<${Card} class="welcome"><${Empty} title="No inference yet">
    <p>Annotate a function that calls a model; this page shows it within seconds of the first call:</p>
    <pre tabindex="0"><code>${`#[tracing::instrument(name = "inference", skip_all, fields(model_id = "gpt-4o", engine = "vllm", tokens, status))]
async fn generate(prompt: &str) -> Result<String, Error> { … }`}</code></pre>
    <p>For requests, add the middleware: <code>observatory.instrument(router, HttpOptions::default())</code>.</p>
  <//><//>`;
}

/** Starts of the process, alerts and health on one axis with the charts. */
function Timeline() {
  const { seconds, end } = range.value;
  const to = end ? end * 1000 : now();
  const from = to - seconds * 1000;
  const bucket = Math.floor(from / 60_000) * 60_000;
  const { data: history } = useFetch(`api/observatory/alerts/history?limit=200&since=${bucket}`, 5000);
  const { results } = useQueries([{ expr: "process_start_time_seconds" }, { expr: "min(observatory_health_status)" }]);
  const starts = [...new Set((results[0]?.data?.result ?? []).flatMap((series) => series.values.map(([, value]) => Math.round(Number(value)))))];
  const states = results[1]?.data?.result?.[0]?.values ?? [];
  const rules = Map.groupBy((history ?? []).filter((record) => (record.endsAt ?? to) >= from && record.startsAt <= to), (record) => record.rule);
  const x = (time) => Math.max(0, Math.min(((time - from) / (to - from)) * 100, 100));
  const bar = (start, stop, kind, title, key) => html`<i key=${key} class=${`bar ${kind}`} style=${{ left: `${x(start)}%`, width: `max(3px, ${x(stop) - x(start)}%)` }} title=${title}></i>`;
  const lanes = [
    ["Starts", starts.filter((start) => start * 1000 >= from && start * 1000 <= to).map((start) => bar(start * 1000, start * 1000, "start", `process started at ${timeOfDay(start * 1000)}`, start))],
    ...[...rules].slice(0, 8).map(([rule, records]) => [
      rule,
      records.map((record) => bar(record.startsAt, record.endsAt ?? to, record.severity === "critical" ? "critical" : "warning", `${rule} fired ${timeOfDay(record.startsAt)} to ${record.endsAt ? timeOfDay(record.endsAt) : "now"}`, record.id)),
      link("alerts", [], { rule }),
    ]),
    ...(states.length > 0 ? [["Health", healthBars(states, bar)]] : []),
  ];
  const isQuiet = lanes.every(([, bars]) => bars.length === 0);
  return html`<${Card} title="What changed" note="Process starts, alerts and changes of health, on the axis of the charts" class="timeline">
    ${isQuiet
      ? html`<p class="faint">Nothing changed in this range: no start of the process, no alert, no change of health.</p>`
      : html`<div class="lanes">${lanes.map(([name, bars, href]) => html`<div class="lane" key=${name}>
          <span class="lane-name">${href ? html`<a href=${href}><bdi>${name}</bdi></a>` : name}</span>
          <span class="lane-bars">${bars}</span>
        </div>`)}
        <div class="lane" aria-hidden="true"><span></span><span class="lane-axis"><span>${timeOfDay(from)}</span><span>${end ? timeOfDay(to) : "now"}</span></span></div>
      </div>`}
  <//>`;
}

function healthBars(states, bar) {
  const runs = [];
  for (const [time, text] of states) {
    const value = Number(text);
    const before = runs.at(-1);
    if (before?.value === value) before.to = time;
    else runs.push({ value, from: before?.to ?? time, to: time });
  }
  const kinds = { 1: ["ok", "healthy"], 0.5: ["warning", "degraded"], 0: ["critical", "unhealthy"] };
  return runs.map(({ value, from, to }) => bar(from * 1000, to * 1000, kinds[value]?.[0] ?? "unknown", `${kinds[value]?.[1] ?? "unknown"} ${timeOfDay(from * 1000)} to ${timeOfDay(to * 1000)}`, from));
}
