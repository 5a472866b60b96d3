// Health: the deciding member, the checks with their last hour, the watchdog, the tasks.

import { html } from "./preact.js";
import { duration, measure, since } from "./format.js";
import { membersOf, verdict } from "./overview.js";
import { Panel } from "./panel.js";
import { Card, CopyButton, Empty, Failure, Loading, Missing, State, useSeconds } from "./parts.js";
import { about, health, link, now, panelOf, useFetch, useQueries } from "./store.js";

const CELLS = 60;
const RANK = { critical: 0, warning: 1, unknown: 2, ok: 3 };

export default function Health() {
  useSeconds();
  const report = health.value;
  if (report === null) return html`<${Failure} what="The health report could not be read." error=${{ message: about.value.healthPath }} />`;
  if (!report) return html`<${Loading} />`;
  const members = membersOf(report).sort((one, other) => RANK[one.state] - RANK[other.state] || one.name.localeCompare(other.name));
  const { features } = about.value;
  return html`<div class="grid">
    <${Deciding} report=${report} members=${members} />
    ${members.length > 0
      ? html`<${Checks} members=${members} />`
      : html`<${Card} title="Checks"><${Empty} title=${features.health ? "No check reports yet" : "Checks are not in this build"}>
          <p>${features.health ? "The health report lists no checks. Register one in code:" : "This build has no feature health. Add it in Cargo.toml, and register checks in code:"}</p>
          <pre tabindex="0"><code>${`observatory.health().register("models", || async { models_are_loaded().await });
observatory.health().register_dependency("redis", check_redis);`}</code></pre>
          <p>Meanwhile, <a href=${new URL(about.value.healthPath.slice(1), document.baseURI).href}>${about.value.healthPath}</a> tells that the process answers.</p>
        <//><//>`}
    ${features.alerting && html`<${Panel} panel=${panelOf("saturation")} /><${Panel} panel=${{ ...panelOf("runtime"), width: 6 }} />`}
    <${Tasks} />
  </div>`;
}

/** The member that decides the state of the service, on top. */
function Deciding({ report, members }) {
  const { state, word, firing = [] } = verdict();
  const decider = members.find((member) => member.name === report.decided_by) ?? (["critical", "warning"].includes(members[0]?.state) ? members[0] : undefined);
  const age = decider?.since ? ` for ${since(decider.since, now())}` : "";
  return html`<p class=${`sentence ${state}`} style=${{ gridColumn: "1 / -1", margin: 0 }}>
    <${State} state=${state}><strong>${word}</strong><//>
    <span>${decider ? html`<bdi>${decider.name}</bdi> decides${age}: <bdi>${decider.message || decider.status}</bdi>` : firing.length > 0 ? html`<a href=${link("alerts")}>${firing.length} ${firing.length === 1 ? "alert fires" : "alerts fire"}</a>; no check fails` : "no check fails"}</span>
    <span class="faint">up ${since(about.value.startedAt * 1000, now())}</span>
  </p>`;
}

function Checks({ members }) {
  const { results } = useQueries(about.value.features.alerting ? [{ expr: "observatory_health_check_status", seconds: 3600, step: 3600 / CELLS }] : []);
  const courses = new Map((results[0]?.data?.result ?? []).map(({ metric, values }) => [metric.check ?? metric.name, values]));
  return html`<${Card} title=${members.length === 1 ? "1 check" : `${members.length} checks`} note="The last hour of each check: one cell a minute">
    <ul class="rules checks">${members.map((member) => html`<li class="rule" key=${member.name}><details>
      <summary><${State} state=${member.state}>${member.status}<//> <strong><bdi>${member.name}</bdi></strong>${member.critical ? html` <span class="chip">critical</span>` : ""}
        <${Strip} values=${courses.get(member.name)} name=${member.name} />
        <span class="faint"><bdi>${member.message ?? ""}</bdi>${member.age_seconds === undefined || member.age_seconds === null ? "" : ` · ${duration(Math.round(member.age_seconds))} ago`}</span></summary>
      <div class="rule-body"><dl class="facts">
        ${member.since && html`<div><dt>in this state for</dt><dd>${since(member.since, now())}</dd></div>`}
        ${member.kind && html`<div><dt>kind</dt><dd>${member.kind}</dd></div>`}
        ${member.duration_seconds !== undefined && member.duration_seconds !== null && html`<div><dt>last run took</dt><dd>${duration(member.duration_seconds)}</dd></div>`}
        ${member.consecutive_failures > 0 && html`<div><dt>failures in a row</dt><dd>${member.consecutive_failures}</dd></div>`}
        ${Object.entries(member.data ?? {}).map(([key, value]) => html`<div key=${key}><dt><bdi>${key}</bdi></dt><dd><bdi>${String(value)}</bdi></dd></div>`)}
        ${member.observedValue !== undefined && html`<div><dt>value</dt><dd>${measure(Number(member.observedValue), "count")} ${member.observedUnit ?? ""}</dd></div>`}
      </dl></div>
    </details></li>`)}</ul>
  <//>`;
}

function Strip({ values, name }) {
  if (!values?.length) return undefined;
  const stateOf = (value) => (value >= 1 ? "ok" : value > 0 ? "warning" : "critical");
  const cells = values.slice(-CELLS).map(([, value]) => stateOf(Number(value)));
  const bad = cells.filter((cell) => cell !== "ok").length;
  return html`<span class="strip" role="img" aria-label=${`${name}: ${bad} of ${cells.length} minutes not healthy`}>${cells.map((state, at) => html`<i key=${at} class=${state}></i>`)}</span>`;
}

function Tasks() {
  const { data, error } = useFetch(about.value.features.tasks ? "api/observatory/tasks" : "", 2000);
  if (!about.value.features.tasks) {
    return html`<${Card} title="Watchdog and tasks"><${Missing} what="The watchdog is">
      <p>The watchdog and the list of tasks need the feature <code>health</code>. The charts above show how busy the workers are; <a href=${link("traces", [], { view: "open" })}>open spans</a> show what runs now.</p>
    <//><//>`;
  }
  return html`<${Card} title="Watchdog and tasks" actions=${data && html`<${CopyButton} class="quiet" text=${JSON.stringify(data, null, 2)}>Copy<//>`}>
    ${error ? html`<p class="failure">${error.message}</p>` : data ? html`<${TaskList} tasks=${data.tasks} leftOut=${data.leftOut} />` : html`<${Loading} />`}<//>`;
}

const TASKS = 100;

/** The open spans as a tree: name, what its task does, and age. */
function TaskList({ tasks, leftOut = 0 }) {
  const rest = tasks.length - TASKS + leftOut;
  return html`<ul class="answers">${tasks.slice(0, TASKS).map((task, at) => html`<li key=${at}>
    <bdi>${task.name}</bdi> <span class="faint">${task.text} · open for ${task.ageSeconds.toFixed(1)} s</span>
    ${task.children?.length ? html`<${TaskList} tasks=${task.children} />` : undefined}</li>`)}
    ${rest > 0 ? html`<li class="faint">${rest} more</li>` : undefined}</ul>`;
}
