// Alerts: what fires and why, who was notified; the rules with their expressions against their thresholds; the history.

import { html, useState } from "./preact.js";
import { Chart } from "./chart.js";
import { exact, legend, measure, moment, since } from "./format.js";
import { Panel } from "./panel.js";
import { ActionButton, Card, Empty, Failure, Labels, Loading, Missing, safeLink, State, useSeconds } from "./parts.js";
import { Silences, SilenceDialog } from "./silence.js";
import { about, ask, link, now, panelsOf, pollNow, route, theme, useFetch, useQueries } from "./store.js";

const TABS = { now: "Now", rules: "Rules", history: "History", silences: "Silences", channels: "Channels" };
const ORDER = { firing: 0, pending: 1, inactive: 2 };
const SEVERITY = { critical: "critical", error: "critical", warning: "warning", info: "unknown" };
const WHO_KEY = "observatory.who";

/** The name under which the reader acts. */
export const who = () => localStorage.getItem(WHO_KEY) ?? "";
export const setWho = (name) => localStorage.setItem(WHO_KEY, name);

export default function Alerts() {
  if (!about.value.features.alerting) return html`<${Missing} what="Alerts are" feature="alerting" />`;
  const rule = route.value.params.get("rule") ?? undefined;
  const tab = TABS[route.value.args[0]] ? route.value.args[0] : rule ? "rules" : "now";
  const [silenced, setSilenced] = useState();
  const rules = useFetch("api/v1/rules", 2000);
  const groups = useFetch("api/observatory/alerts", 2000);
  const conditions = useFetch("api/observatory/alerts/conditions", 30_000);
  const active = useFetch("api/v1/alerts", 2000);
  const views = { now: Now, rules: Rules, history: History, silences: Silences, channels: Channels };
  return html`
    <div class="filters"><nav class="chips" aria-label="Parts of alerts">
      ${Object.entries(TABS).map(([name, title]) => html`<a key=${name} class="tab" href=${link("alerts", name === "now" ? [] : [name])} aria-current=${tab === name ? "page" : undefined}>${title}</a>`)}
    </nav></div>
    <${views[tab]} rules=${rules} groups=${groups} conditions=${conditions.data ?? []} active=${active} rule=${rule} silence=${setSilenced} />
    ${silenced && html`<${SilenceDialog} labels=${silenced} close=${() => setSilenced(undefined)} />`}`;
}

const allRules = (rules) => (rules.data?.data.groups ?? []).flatMap((group) => group.rules.map((rule) => ({ ...rule, group: group.name, interval: group.interval })));

function Now({ rules, groups, conditions, active, silence }) {
  useSeconds();
  const { data: history } = useFetch("api/observatory/alerts/history?active=true&limit=200", 2000);
  if (active.error && !active.data) return html`<${Failure} what="The alerts could not be read." error=${active.error} retry=${active.reload} />`;
  if (!active.data) return html`<${Loading} />`;
  const listed = [...active.data.data.alerts].sort((one, other) => ORDER[one.state] - ORDER[other.state] || Date.parse(one.activeAt) - Date.parse(other.activeAt));
  const byName = new Map(allRules(rules).map((rule) => [rule.name, rule]));
  return html`
    <div class="grid">
      ${listed.length === 0 && html`<${Card}><${Empty} title="No alert fires or is pending"><p>${allRules(rules).filter((rule) => rule.type === "alerting").length} rules are evaluated. <a href=${link("alerts", ["history"])}>History</a> has what fired before.</p><//><//>`}
      ${listed.slice(0, 50).map((alert) => html`<${AlertCard} key=${JSON.stringify(alert.labels)} alert=${alert} rule=${byName.get(alert.labels.alertname)} silence=${silence}
          conditions=${conditions.find((one) => one.rule === alert.labels.alertname)?.conditions ?? []} record=${(history ?? []).find((record) => isSame(record.labels, alert.labels))} />`)}
      ${listed.length > 50 && html`<p class="faint">50 of ${listed.length.toLocaleString("en")} alerts are shown.</p>`}
      <${Groups} groups=${groups} />
      ${panelsOf("alerts").map((panel) => html`<${Panel} key=${panel.id} panel=${panel} />`)}
    </div>`;
}

const isSame = (one, other) => JSON.stringify(Object.entries(one).sort()) === JSON.stringify(Object.entries(other).sort());

function AlertCard({ alert, rule, conditions, record, silence }) {
  const { labels, annotations, state, activeAt } = alert;
  const severity = labels.severity ?? "warning";
  const runbook = safeLink(annotations.runbook_url);
  const trace = labels.trace_id ?? annotations.trace_id;
  return html`<section class=${`card alert-card ${SEVERITY[severity] === "critical" ? "" : severity}`} aria-label=${`Alert ${labels.alertname}`}>
    <div class="alert-head">
      <${State} state=${SEVERITY[severity] ?? "warning"}>${severity}<//>
      <h2><bdi>${labels.alertname}</bdi></h2>
      <span class="chip">${state}</span>
      <span class="faint" title=${moment(Date.parse(activeAt))}>for ${since(Date.parse(activeAt), now())}</span>
    </div>
    ${annotations.summary && html`<p><bdi>${annotations.summary}</bdi></p>`}
    ${annotations.description && html`<p class="faint"><bdi>${annotations.description}</bdi></p>`}
    <${Labels} labels=${labels} without=${["alertname", "severity"]} />
    <${Conditions} conditions=${conditions} labels=${labels} hold=${rule?.duration} />
    <${Deliveries} record=${record} />
    <div class="buttons">
      <${Acknowledge} labels=${labels} record=${record} />
      <button type="button" onClick=${() => silence(labels)}>Silence …</button>
      ${runbook && html`<a href=${runbook} target="_blank" rel="noopener noreferrer">Runbook ↗</a>`}
      ${trace && html`<a href=${link("traces", [trace])}>Trace</a>`}
      ${labels.model_id && html`<a href=${link("models", [labels.model_id])}>Model</a>`}
      <a href=${link("alerts", ["rules"], { rule: labels.alertname })}>Rule</a>
    </div>
  </section>`;
}

function Deliveries({ record }) {
  const deliveries = record?.deliveries ?? [];
  if (deliveries.length === 0) return html`<p class="faint">Nobody was notified yet.</p>`;
  return html`<ul class="answers" aria-label="Notifications">${deliveries.slice(-5).map(
    ({ at, receiver, destination, status, reason, attempts, outcome }, index) => html`<li key=${index}>
      ${outcome.result === "accepted" ? html`<${State} state="ok">accepted<//>` : html`<${State} state="critical">failed<//>`}
      ${" "}<bdi>${destination}</bdi> (${receiver}), ${status}, ${reason}, <span class="faint">${moment(at)}${attempts > 1 ? `, ${attempts} attempts` : ""}: <bdi>${outcome.answer ?? outcome.error}</bdi></span>
    </li>`,
  )}</ul>`;
}

function Acknowledge({ labels, record }) {
  const [isOpen, setOpen] = useState(false);
  const [name, setName] = useState(who());
  const [comment, setComment] = useState("");
  if (record?.acknowledgedAt) {
    return html`<${State} state="ok">acknowledged by <bdi>${record.acknowledgedBy}</bdi>, ${moment(record.acknowledgedAt)}<//>`;
  }
  if (!isOpen) return html`<button type="button" onClick=${() => setOpen(true)}>Acknowledge …</button>`;
  const matchers = Object.entries(labels).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(", ");
  return html`<span class="buttons">
    <label><span class="unseen">Your name</span><input required placeholder="Your name" value=${name} onInput=${(event) => setName(event.target.value)} /></label>
    <label><span class="unseen">Comment</span><input placeholder="Comment" value=${comment} onInput=${(event) => setComment(event.target.value)} /></label>
    <${ActionButton} class="primary" path="api/observatory/alerts/acknowledge" body=${{ matchers, by: name, comment }} done="Acknowledged" onDone=${() => setWho(name)}>Acknowledge<//>
    <button type="button" onClick=${() => setOpen(false)}>Cancel</button>
  </span>`;
}

/** Draws the value of each condition against its threshold. `labels` restrict it to the series of one alert. */
export function Conditions({ conditions, labels, hold = 0, seconds }) {
  const length = seconds ?? Math.max(1800, Math.min(hold * 6, 21_600));
  const step = Math.max(Math.ceil(length / 120), about.value.tickSeconds);
  const queries = conditions.flatMap(({ value, threshold }) => [
    { expr: value, seconds: length, step },
    { expr: threshold, isInstant: true },
  ]);
  const { results, isLoading, end } = useQueries(queries);
  if (conditions.length === 0) return html`<p class="faint">The condition has no value to draw: it compares nothing with a threshold.</p>`;
  if (isLoading) return html`<${Loading} height=${120} />`;
  return html`<div class="grid">${conditions.map((condition, at) => {
    const found = results[2 * at]?.data?.result ?? [];
    const matching = labels ? found.filter(({ metric }) => Object.entries(metric).every(([key, value]) => key === "__name__" || labels[key] === undefined || labels[key] === value)) : found;
    const series = matching.slice(0, 10).map(({ metric, values }) => ({ name: legend("", metric).replace(/^\{\}$/, "value"), points: values.map(([time, value]) => [time, Number(value)]) }));
    const limit = thresholdOf(results[2 * at + 1]?.data);
    const last = series[0]?.points.at(-1)?.[1];
    const unit = unitOf(condition);
    const sign = { ">=": "≥", "<=": "≤", "==": "=", "!=": "≠" }[condition.operator] ?? condition.operator;
    const text = `${sign} ${measure(limit, unit)}`;
    return html`<figure key=${at} class="condition" style=${{ gridColumn: `span ${conditions.length > 1 ? Math.max(4, Math.floor(12 / conditions.length)) : 12}` }}>
      <figcaption><span>${last === undefined ? "no value" : html`<b title=${exact(last)}>${measure(last, unit)}</b>`} <span class="faint">fires ${text}</span></span>
        <a href=${link("explore", [], { q: condition.value, unit })} title=${condition.value}>Explore</a></figcaption>
      ${series.length === 0
        ? html`<div class="nodata" style=${{ height: "110px" }}>No data</div>`
        : html`<${Chart} title=${`Value of the condition, ${text}`} series=${series} frame=${{ end, seconds: length, step }} unit=${unit} height=${120} theme=${theme.value} thresholds=${limit === undefined ? [] : [{ value: limit, label: sign }]} />`}
    </figure>`;
  })}</div>`;
}

function thresholdOf(data) {
  const value = data?.resultType === "scalar" ? data.result[1] : data?.result?.[0]?.value?.[1];
  return value === undefined ? undefined : Number(value);
}

/** Guesses the unit of a condition from the names in its query. */
export function unitOf({ value, threshold }) {
  if (/increase\(|count\(/.test(value)) return "count";
  if (/ \/ /.test(value) && Number(threshold) <= 1) return "ratio";
  if (/ \/ /.test(value) && /1 - 0\.\d+/.test(threshold)) return "ratio";
  if (/_seconds(_bucket|_sum)?\b/.test(value)) return "seconds";
  if (/_bytes\b/.test(value) && !/ \/ /.test(value)) return "bytes";
  if (/_ratio\b/.test(value)) return "ratio";
  if (/rate\(/.test(value)) return "per_second";
  return "count";
}

function Groups({ groups }) {
  const listed = groups.data?.groups ?? [];
  if (listed.length === 0) return undefined;
  return html`<${Card} title="Groups" note="Alerts that are notified together">
    <ul class="answers">${listed.map((group) => html`<li key=${`${group.receiver} ${group.key}`}>
      <strong><bdi>${group.receiver}</bdi></strong> <bdi class="faint">${group.key}</bdi>: ${group.firing} firing${group.resolved > 0 ? `, ${group.resolved} resolved` : ""}.
      ${group.notified.length > 0 ? ` Notified: ${group.notified.join(", ")}.` : " Nobody was notified."}
      ${group.escalationStep > 0 ? ` Escalated ${group.escalationStep} times.` : ""}
      ${group.acknowledgement ? html` <${State} state="ok">acknowledged by <bdi>${group.acknowledgement.by}</bdi><//>` : ` Next look ${group.nextFlush > now() ? `in ${since(now(), group.nextFlush)}` : "is due"}.`}
    </li>`)}</ul>
  <//>`;
}

function Rules({ rules, conditions, rule: wanted }) {
  if (rules.error && !rules.data) return html`<${Failure} what="The rules could not be read." error=${rules.error} retry=${rules.reload} />`;
  if (!rules.data) return html`<${Loading} />`;
  const all = allRules(rules).filter((rule) => rule.type === "alerting");
  all.sort((one, other) => (ORDER[one.state] ?? 3) - (ORDER[other.state] ?? 3) || one.name.localeCompare(other.name));
  const recording = allRules(rules).filter((rule) => rule.type === "recording");
  return html`<div class="grid">
    <${Card} title=${`${all.length} rules`} actions=${html`<a href="#/alerts/rules" hidden=${!wanted}>All rules</a>`}>
      <ul class="rules">${all.filter((rule) => !wanted || rule.name === wanted).map((rule) => html`<${RuleRow} key=${`${rule.group} ${rule.name}`} rule=${rule} conditions=${conditions.find((one) => one.rule === rule.name)?.conditions ?? []} isWanted=${rule.name === wanted} />`)}</ul>
    <//>
    ${recording.length > 0 && html`<${Card} title=${`${recording.length} recording rules`}><ul class="answers">${recording.map((rule) => html`<li key=${rule.name}><code>${rule.name}</code> <span class="faint">${rule.health}</span> <a href=${link("explore", [], { q: rule.name })}>Explore</a></li>`)}</ul><//>`}
  </div>`;
}

function RuleRow({ rule, conditions, isWanted }) {
  const [isOpen, setOpen] = useState(isWanted);
  const state = !rule.enabled ? "off" : rule.health === "err" ? "failing" : rule.state;
  const kind = { firing: "critical", pending: "warning", failing: "critical", off: "unknown", inactive: "ok" }[state] ?? "unknown";
  return html`<li class="rule">
    <details open=${isOpen} onToggle=${(event) => setOpen(event.currentTarget.open)}>
      <summary><${State} state=${kind}>${state}<//> <strong><bdi>${rule.name}</bdi></strong>
        <span class="faint">${rule.labels.severity ?? ""}${rule.duration > 0 ? ` · holds for ${measure(rule.duration, "seconds")}` : ""} · every ${measure(rule.interval, "seconds")}${rule.alerts?.length > 0 ? ` · ${rule.alerts.length} active` : ""}</span></summary>
      ${isOpen && html`<div class="rule-body">
        ${rule.annotations?.summary && html`<p class="faint"><bdi>${rule.annotations.summary}</bdi></p>`}
        <pre tabindex="0"><code>${rule.query}</code></pre>
        ${rule.lastError && html`<p class="failure"><bdi>${rule.lastError}</bdi></p>`}
        <${Conditions} conditions=${conditions} hold=${rule.duration} />
        <div class="buttons">
          <${ActionButton} path=${`api/observatory/rules/${encodeURIComponent(rule.name)}`} body=${{ enabled: !rule.enabled }} done=${rule.enabled ? "Disabled" : "Enabled"} onDone=${pollNow}>${rule.enabled ? "Disable the rule" : "Enable the rule"}<//>
          <a href=${link("explore", [], { q: rule.query })}>Explore</a>
          <a href=${link("alerts", ["history"], { rule: rule.name })}>History</a>
        </div>
      </div>`}
    </details>
  </li>`;
}

function History({ rule }) {
  const asked = new URLSearchParams({ limit: 200, ...(rule ? { rule } : {}) });
  const { data, error, reload } = useFetch(`api/observatory/alerts/history?${asked}`, 5000);
  const { data: statistics } = useFetch("api/observatory/alerts/statistics", 5000);
  if (error && !data) return html`<${Failure} what="The history could not be read." error=${error} retry=${reload} />`;
  if (!data) return html`<${Loading} />`;
  return html`<${Card} title="History" actions=${html`<span class="faint">${statistics?.total !== undefined ? `${data.length} of ${statistics.total.toLocaleString("en")}` : `the last ${data.length}`}</span>`}>
    ${rule && html`<p class="filters">Rule <strong><bdi>${rule}</bdi></strong> <a href=${link("alerts", ["history"])}>All rules</a></p>`}
    ${data.length === 0
      ? html`<${Empty} title="Nothing has fired"><p>Every alert that fires is listed here, with its notifications.</p><//>`
      : html`<ul class="rules">${data.map((record) => html`<li class="rule" key=${record.id}><details>
          <summary><${State} state=${record.endsAt ? "ok" : (SEVERITY[record.severity] ?? "warning")}>${record.endsAt ? "resolved" : "firing"}<//> <strong><bdi>${record.rule}</bdi></strong>
            <span class="faint">${moment(record.startsAt)}, ${record.endsAt ? `for ${since(record.startsAt, record.endsAt)}` : "fires now"} · ${record.severity}</span> <bdi>${record.annotations.summary ?? ""}</bdi></summary>
          <div class="rule-body"><${Labels} labels=${record.labels} /><${Deliveries} record=${record} />
            ${record.acknowledgedAt && html`<p>Acknowledged by <bdi>${record.acknowledgedBy}</bdi>, ${moment(record.acknowledgedAt)}: <bdi>${record.acknowledgeComment}</bdi></p>`}</div>
        </details></li>`)}</ul>`}
  <//>`;
}

function Channels() {
  const { data, error, reload } = useFetch("api/observatory/channels", 30_000);
  if (error && !data) return html`<${Failure} what="The channels could not be read." error=${error} retry=${reload} />`;
  if (!data) return html`<${Loading} />`;
  return html`<div class="grid">${Object.entries(data).map(([name, addresses]) => html`<${Channel} key=${name} name=${name} addresses=${addresses} />`)}</div>`;
}

function Channel({ name, addresses }) {
  const [answers, setAnswers] = useState();
  const [isBusy, setBusy] = useState(false);
  const test = async () => {
    setBusy(true);
    try {
      setAnswers(await ask(`api/observatory/channels/${encodeURIComponent(name)}/test`, { body: {}, timeout: 60_000 }));
    } catch (error) {
      setAnswers([{ destination: name, ok: false, error: error.message }]);
    }
    setBusy(false);
  };
  return html`<${Card} title=${name} width=${6} actions=${html`<button type="button" disabled=${isBusy} onClick=${test}>${isBusy ? "Sending …" : "Send a test"}</button>`}>
    <p class="faint">${addresses.join(", ")}</p>
    ${answers && html`<div role="status"><ul class="answers">${answers.map(({ destination, ok, answer, error }) => html`<li key=${destination}>
      <${State} state=${ok ? "ok" : "critical"}>${ok ? "accepted" : "failed"}<//> <bdi>${destination}</bdi>: <bdi class="faint">${answer ?? error}</bdi></li>`)}</ul></div>`}
  <//>`;
}
