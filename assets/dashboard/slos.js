// Service level objectives: how much of the error budget is left, and how fast it burns.

import { html } from "./preact.js";
import { Chart } from "./chart.js";
import { Conditions } from "./alerts.js";
import { measure } from "./format.js";
import { Card, Empty, Failure, Loading, Missing, State } from "./parts.js";
import { about, link, range, theme, useFetch, useQueries } from "./store.js";

const EXAMPLE = `let slo = Slo::new(
    "availability",
    r#"llm_router_http_requests_total{status_code=~"5.."}"#,
    "llm_router_http_requests_total",
    0.999,
);
config.alerting.rule_groups.extend(slo.as_ref().map(slo_rules));`;

export default function Slos() {
  if (!about.value.features.alerting) return html`<${Missing} what="Objectives are" feature="alerting" />`;
  const rules = useFetch("api/v1/rules?type=alert", 2000);
  const conditions = useFetch("api/observatory/alerts/conditions", 30_000);
  const error = rules.error ?? conditions.error;
  if (error && !(rules.data && conditions.data)) return html`<${Failure} what="The rules could not be read." error=${error} retry=${rules.reload} />`;
  if (!rules.data || !conditions.data) return html`<${Loading} />`;
  const all = rules.data.data.groups.flatMap((group) => group.rules).filter((rule) => rule.labels.slo);
  const objectives = Map.groupBy(all, (rule) => rule.labels.slo);
  if (objectives.size === 0) {
    return html`<${Card}><${Empty} title="No objective yet">
      <p>An objective is the share of events that must succeed. Its rules alert when its error budget burns too fast:</p>
      <pre tabindex="0"><code>${EXAMPLE}</code></pre>
      <p>Rules of a rule file belong to an objective if they have the labels <code>slo</code> and <code>window</code>.</p>
    <//><//>`;
  }
  return html`<div class="grid">${[...objectives].map(([name, rules]) => html`<${Objective} key=${name} name=${name} rules=${rules} conditions=${conditions.data} />`)}</div>`;
}

function Objective({ name, rules, conditions }) {
  const windows = rules.map((rule) => {
    const found = conditions.find((one) => one.rule === rule.name)?.conditions ?? [];
    return { rule, conditions: found, burning: found.filter((one) => one.burn) };
  });
  const budgeted = windows.filter(({ burning }) => burning.length > 0);
  const longest = budgeted.at(-1);
  const burnOf = ({ value, burn }) => `(${value}) / (${burn.budget})`;
  const queries = budgeted.length === 0 ? [] : [
    { expr: `clamp_min(1 - ${burnOf(longest.burning[0])}, 0)`, isInstant: true },
    { expr: longest.burning[0].burn.budget, isInstant: true },
    ...budgeted.map(({ burning }) => ({ expr: burnOf(burning[0]), isInstant: true })),
    ...budgeted.map(({ burning }) => ({ expr: burnOf(burning[0]) })),
  ];
  const { results, isLoading, end, seconds, step } = useQueries(queries);
  const valueOf = (at) => {
    const data = results[at]?.data;
    const text = data?.resultType === "scalar" ? data.result[1] : data?.result?.[0]?.value?.[1];
    return text === undefined ? undefined : Number(text);
  };
  const left = valueOf(0);
  const budget = valueOf(1);
  const firing = rules.filter((rule) => rule.state === "firing");
  const state = firing.length > 0 ? "critical" : left === undefined ? "unknown" : left < 0.25 ? "warning" : "ok";
  const words = { critical: "burns too fast", warning: left === 0 ? "used up" : "nearly used up", ok: "within the budget", unknown: "no events" };
  const burns = budgeted.map(({ rule, burning }, at) => ({ window: rule.labels.window, factor: burning[0].burn.factor, value: valueOf(2 + at) }));
  const series = budgeted.map(({ rule }, at) => ({ name: `over ${rule.labels.window}`, points: (results[2 + budgeted.length + at]?.data?.result?.[0]?.values ?? []).map(([time, value]) => [time, Number(value)]) })).filter(({ points }) => points.length > 0);
  return html`<${Card} title=${name} actions=${html`<${State} state=${state}>${words[state]}<//>`}>
    ${isLoading
      ? html`<${Loading} />`
      : html`
        ${budgeted.length > 0 && html`
          <p>${left === undefined ? "No events in the window." : html`<strong>${measure(left, "ratio")}</strong> of the error budget of the last ${longest.rule.labels.window} is left`}
            ${budget !== undefined && html` <span class="faint">(${measure(budget, "ratio")} of the events may fail)</span>`}</p>
          <div class=${left < 0.25 ? "budget low" : "budget"} role="img" aria-label=${`${measure(left, "ratio")} of the budget is left`}><i style=${{ width: `${(left ?? 0) * 100}%` }}></i></div>
          <ul class="answers burns">${burns.map(({ window, factor, value }) => html`<li key=${window}>Over ${window}, the budget burns at <strong>${value === undefined ? "–" : `${measure(value, "count")} ×`}</strong> the sustainable rate; an alert fires above ${factor} ×.</li>`)}</ul>
          ${series.length > 0 && html`<${Chart} title=${`Burn rate of ${name}`} series=${series} frame=${{ end, seconds, step }} unit="count" theme=${theme.value} thresholds=${burns.map(({ window, factor }) => ({ value: factor, label: `fires over ${window}:` })).slice(-1)} />`}`}
        ${windows.map(({ rule, conditions: found }) => html`<details key=${rule.name} class="rule"><summary><${State} state=${{ firing: "critical", pending: "warning" }[rule.state] ?? "ok"}>${rule.state}<//> <strong>${rule.name}</strong> <span class="faint">${rule.labels.severity}</span></summary>
          <${Conditions} conditions=${found} seconds=${range.value.seconds} />
          <a href=${link("alerts", ["rules"], { rule: rule.name })}>Rule</a></details>`)}`}
  <//>`;
}
