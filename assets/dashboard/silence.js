// Silences: the list, and the dialog that creates one with a preview of the alerts that it mutes.

import { html, useEffect, useState } from "./preact.js";
import { moment, since } from "./format.js";
import { ActionButton, Card, Dialog, Empty, Failure, Labels, Loading, State } from "./parts.js";
import { setWho, who } from "./alerts.js";
import { ask, now, useFetch } from "./store.js";

const LENGTHS = [
  [3600, "1 hour"],
  [7200, "2 hours"],
  [28_800, "8 hours"],
  [86_400, "1 day"],
  [604_800, "1 week"],
];

export function SilenceDialog({ labels, close }) {
  const [matchers, setMatchers] = useState(Object.entries(labels).map(([key, value]) => `${key}=${JSON.stringify(value)}`));
  const [seconds, setSeconds] = useState(7200);
  const [name, setName] = useState(who());
  const [comment, setComment] = useState("");
  const [preview, setPreview] = useState();
  useEffect(() => {
    let isGone = false;
    const timer = setTimeout(async () => {
      try {
        const found = await ask("api/observatory/silences/preview", { body: { matchers } });
        if (!isGone) setPreview(found);
      } catch (error) {
        if (!isGone) setPreview({ error: error.message });
      }
    }, 150);
    return () => {
      isGone = true;
      clearTimeout(timer);
    };
  }, [matchers.join()]);
  const startsAt = Math.round(now());
  const body = { matchers, startsAt, endsAt: startsAt + seconds * 1000, createdBy: name, comment };
  return html`<${Dialog} title="Silence" close=${close}>
    <div class="form">
      <label>Matchers, one a line; remove lines to mute more
        <textarea rows=${Math.max(3, matchers.length)} value=${matchers.join("\n")} spellcheck="false" onInput=${(event) => setMatchers(event.target.value.split("\n").map((text) => text.trim()).filter(Boolean))}></textarea></label>
      <div class="muted" role="status" aria-live="polite">
        ${!preview
          ? "…"
          : preview.error
            ? html`<p class="failure">${preview.error}</p>`
            : html`<p><strong>${preview.total === 0 ? "No active alert would be muted." : `${preview.total} active ${preview.total === 1 ? "alert" : "alerts"} would be muted:`}</strong></p>
              <ul class="answers">${preview.alerts.slice(0, 10).map((alert) => html`<li key=${JSON.stringify(alert.labels)}>${alert.state} <strong><bdi>${alert.labels.alertname}</bdi></strong> <${Labels} labels=${alert.labels} without=${["alertname"]} /></li>`)}</ul>
              ${preview.total > 10 && html`<p class="faint">10 of ${preview.total} are listed.</p>`}`}
      </div>
      <label>For <select value=${seconds} onChange=${(event) => setSeconds(Number(event.target.value))}>${LENGTHS.map(([length, text]) => html`<option key=${length} value=${length}>${text}</option>`)}</select></label>
      <label>Your name <input value=${name} onInput=${(event) => setName(event.target.value)} /></label>
      <label>Reason <input value=${comment} onInput=${(event) => setComment(event.target.value)} /></label>
      <div class="buttons"><${ActionButton} class="primary" path="api/observatory/silences" body=${body} done="Silenced" onDone=${() => (setWho(name), setTimeout(close, 1200))}>Silence<//></div>
    </div>
  <//>`;
}

export function Silences({ silence }) {
  const { data, error, reload } = useFetch("api/observatory/silences", 2000);
  if (error && !data) return html`<${Failure} what="The silences could not be read." error=${error} retry=${reload} />`;
  if (!data) return html`<${Loading} />`;
  const stateOf = ({ startsAt, endsAt }) => (endsAt <= now() ? "expired" : startsAt > now() ? "pending" : "active");
  return html`<${Card} title="Silences" actions=${html`<button type="button" onClick=${() => silence({ alertname: "" })}>New silence …</button>`}>
    ${data.length === 0
      ? html`<${Empty} title="Nothing is silenced"><p>A silence mutes the notifications of matching alerts for a time. The alerts stay visible here.</p><//>`
      : html`<ul class="rules">${data.map((one) => html`<li class="rule" key=${one.id}>
          <${State} state=${stateOf(one) === "active" ? "warning" : "unknown"}>${stateOf(one)}<//> <code>${one.matchers.join(", ")}</code>
          <span class="faint"> until ${moment(one.endsAt)}${stateOf(one) === "active" ? `, ${since(now(), one.endsAt)} more` : ""}; <bdi>${one.createdBy}</bdi>: <bdi>${one.comment}</bdi></span>
          ${stateOf(one) !== "expired" && html` <${ActionButton} path=${`api/observatory/silences/${one.id}`} method="DELETE" done="Expired" onDone=${reload}>Expire<//>`}
        </li>`)}</ul>`}
  <//>`;
}
