// The shell: the rail, the top bar, the router, the keyboard. A view is a module that is loaded when it is needed.

import { html, render, useEffect, useState } from "./preact.js";
import Overview, { verdict } from "./overview.js";
import { Dialog, Icon, Loading, State, TokenField, useSeconds } from "./parts.js";
import { since } from "./format.js";
import { about, connection, go, isLive, link, pollNow, RANGES, range, route, setLive, setRange, setTheme, theme, zoomOut } from "./store.js";

const VIEWS = [
  ["overview", "Overview", "o", () => ({ default: Overview })],
  ["models", "Models", "m", () => import("./models.js")],
  ["traces", "Traces", "t", () => import("./traces.js")],
  ["alerts", "Alerts", "a", () => import("./alerts.js")],
  ["slos", "SLOs", "l", () => import("./slos.js")],
  ["health", "Health", "h", () => import("./health.js")],
  ["profiles", "Profiles", "p", () => import("./profiles.js")],
  ["explore", "Explore", "e", () => import("./explore.js")],
  ["system", "System", "s", () => import("./system.js")],
];
const loaded = new Map([["overview", Overview]]);

function App() {
  const { view } = route.value;
  const found = VIEWS.find(([name]) => name === view) ?? VIEWS[0];
  const [help, setHelp] = useState(false);
  const [, setLoaded] = useState(0);
  const [failed, setFailed] = useState();
  const [name, title, , load] = found;
  useEffect(() => {
    document.title = `${title} · ${about.value?.service ?? "llm-observatory"}`;
  }, [title, about.value]);
  useEffect(() => {
    if (loaded.has(name)) return;
    Promise.resolve(load()).then(
      (module) => {
        loaded.set(name, module.default);
        setLoaded((count) => count + 1);
      },
      () => setFailed(name),
    );
  }, [name]);
  useKeyboard(() => setHelp((isOpen) => !isOpen));
  const View = loaded.get(name);
  return html`
    <a class="skip" href="#content" onClick=${(event) => (event.preventDefault(), document.getElementById("content").focus())}>Skip to the content</a>
    <${Rail} current=${name} />
    <div class="page">
      <${TopBar} title=${title} openHelp=${() => setHelp(true)} />
      <${Notices} />
      <main id="content" tabindex="-1" class=${`view-${name}`}>
        ${connection.value.state === "refused" && !about.value
          ? html`<${TokenField} why=${connection.value.error} />`
          : !about.value
            ? html`<${Loading} height=${320} />`
            : failed === name
              ? html`<p class="failure" role="alert">This view could not be loaded. <button type="button" onClick=${() => location.reload()}>Reload the page</button></p>`
              : View
                ? html`<${View} />`
                : html`<${Loading} height=${320} />`}
      </main>
    </div>
    ${help && html`<${Keys} close=${() => setHelp(false)} />`}
    <div id="tooltip" class="tooltip" hidden aria-hidden="true"></div>
    <span id="probe" hidden></span>`;
}

function Rail({ current }) {
  const firing = verdict().firing?.length ?? 0;
  return html`<nav class="rail" aria-label="Views">
    ${VIEWS.map(([name, title, key]) => html`<a key=${name} href=${link(name)} aria-current=${name === current ? "page" : undefined} title=${`${title} (g ${key})`}>
      <${Icon} name=${name} /><span>${title}</span>
      ${name === "alerts" && firing > 0 && html`<b class="badge-count" aria-label=${`${firing} firing`}>${firing}</b>`}
    </a>`)}
  </nav>`;
}

function TopBar({ title, openHelp }) {
  const { state, word } = verdict();
  const facts = about.value;
  const { seconds, end } = range.value;
  const isKnown = RANGES.some(([length]) => length === seconds) && !end;
  return html`<header class="top">
    <h1><span class="view-title">${title}</span> <span class="service" title=${facts && `llm-observatory ${facts.version}`}><bdi>${facts?.service ?? ""}</bdi></span>
      ${facts?.environment && html`<span class="chip">${facts.environment}</span>`}</h1>
    <a class=${`pill ${state}`} href=${link("overview")}><${State} state=${state}>${word}<//></a>
    <label class="range"><span class="unseen">Time range</span>
      <select value=${isKnown ? seconds : "own"} onChange=${(event) => event.target.value !== "own" && setRange(Number(event.target.value))}>
        ${!isKnown && html`<option value="own">selected part</option>`}
        ${RANGES.map(([length, text]) => html`<option key=${length} value=${length}>last ${text}</option>`)}
      </select>
    </label>
    ${end && html`<button type="button" onClick=${zoomOut}>Zoom out</button>`}
    <button type="button" class="live" aria-pressed=${isLive.value} onClick=${() => setLive(!isLive.value)} title="Live updates (space)">
      <i class=${isLive.value && connection.value.state === "ok" ? "dot on" : "dot"}></i>${isLive.value ? "Live" : "Paused"}
    </button>
    <button type="button" class="quiet" onClick=${nextTheme} title="Colours: as the system, light, dark" aria-label=${`Colours: ${theme.value || "as the system"}`}>◐</button>
    <button type="button" class="quiet wide" onClick=${openHelp} aria-label="Keys" title="Keys (?)">?</button>
  </header>`;
}

function nextTheme() {
  setTheme({ "": "light", light: "dark", dark: "" }[theme.value]);
}

/** Disconnected, paused, updated: what the reader must know about the numbers below. */
function Notices() {
  useSeconds();
  const { state, at, error } = connection.value;
  const age = at ? `The numbers are ${since(at, Date.now())} old. ` : "";
  return html`<section aria-label="Notices">
    ${state === "lost" && html`<p class="notice bad" role="alert">${error} ${age}The page tries again. <button type="button" onClick=${pollNow}>Try now</button></p>`}
    ${state === "refused" && about.value && html`<div class="notice bad" role="alert"><${TokenField} why=${error} /></div>`}
    ${!isLive.value && state === "ok" && html`<p class="notice">Paused: nothing on this page moves. <button type="button" onClick=${() => setLive(true)}>Go on</button></p>`}
    ${about.value?.isUpdated && html`<p class="notice">The service has been updated. <button type="button" onClick=${() => location.reload()}>Load the new page</button></p>`}
  </section>`;
}

const KEYS = [
  ["?", "this list"],
  ["/", "search or filter"],
  ["space", "pause, or go on"],
  ["+ / −", "a shorter or a longer range"],
  ["z", "zoom out, as a double click on a chart"],
  ["Esc", "close"],
];

function Keys({ close }) {
  return html`<${Dialog} title="Keys" close=${close}>
    <dl class="keys">
      ${VIEWS.map(([name, title, key]) => html`<div key=${name}><dt><kbd>g</kbd> <kbd>${key}</kbd></dt><dd>${title}</dd></div>`)}
      ${KEYS.map(([key, text]) => html`<div key=${key}><dt><kbd>${key}</kbd></dt><dd>${text}</dd></div>`)}
    </dl>
    <p class="faint">Drag on a chart to zoom all charts; a double click goes back.</p>
  <//>`;
}

function useKeyboard(toggleHelp) {
  useEffect(() => {
    let isGoing = false;
    const onKey = (event) => {
      const isTyping = event.composedPath()[0].closest?.("input, textarea, select, [contenteditable]") || document.querySelector("dialog[open]");
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping) return;
      const target = isGoing && VIEWS.find(([, , key]) => key === event.key);
      if (target) {
        go(link(target[0]));
        document.getElementById("content").focus({ preventScroll: true });
      }
      isGoing = event.key === "g" && !isGoing;
      if (target || isGoing) return;
      const at = RANGES.findIndex(([length]) => length >= range.value.seconds);
      const isOnButton = event.target.closest?.("button, a, summary, [role=tree]");
      if (event.key === "?") toggleHelp();
      else if (event.key === "z") zoomOut();
      else if (event.key === "+" && at > 0) setRange(RANGES[at - 1][0]);
      else if (["-", "−"].includes(event.key) && at < RANGES.length - 1) setRange(RANGES[at + 1][0]);
      else if (event.key === " " && !isOnButton) setLive(!isLive.value);
      else if (event.key === "/") document.querySelector("[data-search]")?.focus();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

render(html`<${App} />`, document.getElementById("app"));
pollNow();
