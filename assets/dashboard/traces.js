// Live traces: lists with filters, and one trace with its waterfall.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./preact.js";
import { ago, count, duration, iso, share } from "./format.js";
import { Empty, Failure, Loading, Missing, safeLink, State, useSeconds } from "./parts.js";
import { about, ask, go, isLive, link, now, Refusal, route, useFetch } from "./store.js";
import { TracePane } from "./trace.js";

const LIMIT = 100;
const VIEWS = {
  recent: ["Recent", "Traces of which a span ended last, the latest first"],
  slowest: ["Slowest", "The slowest traces of the last minutes"],
  failed: ["Failed", "Traces in which a span failed, the latest first"],
  open: ["Open", "Spans that are open now, the oldest first"],
};
const DURATIONS = [
  ["", "any duration"],
  ["0.1", "from 100 ms"],
  ["1", "from 1 s"],
  ["5", "from 5 s"],
  ["30", "from 30 s"],
];

export default function Traces() {
  const { args, params } = route.value;
  if (!about.value.features.traces) {
    return html`<${Missing} what="Traces are" feature="otlp" lines=${'llm-observatory = { version = "…", features = ["otlp"] }'} />`;
  }
  const [id, span] = args;
  useStyles();
  return html`<div class=${id ? "panes reading" : "panes"}>
    <${List} params=${params} selected=${id} />
    ${id && html`<${Trace} key=${id} id=${id} span=${span} params=${params} />`}
  </div>`;
}

/** Loads the styles of a trace, which the other views do not need. */
function useStyles() {
  useLayoutEffect(() => {
    const href = new URL("traces.css", import.meta.url).href;
    if (document.querySelector(`link[href="${href}"]`)) return;
    const sheet = document.createElement("link");
    sheet.rel = "stylesheet";
    sheet.href = href;
    document.head.append(sheet);
  }, []);
}

function List({ params, selected }) {
  useSeconds();
  const [text, setText] = useState("");
  const view = VIEWS[params.get("view")] ? params.get("view") : "recent";
  const asked = new URLSearchParams({ view, limit: LIMIT });
  for (const key of ["model", "route", "status", "min_seconds"]) if (params.get(key)) asked.set(key, params.get(key));
  const { data, error, isLoading, reload } = useFetch(`api/observatory/traces?${asked}`, 1500);
  const held = useRef();
  // A list stands still while one of its traces is read.
  if (!selected || !held.current || held.current.asked !== String(asked)) held.current = data && { ...data, asked: String(asked) };
  const shownData = held.current;
  const waiting = selected && data && shownData ? newcomers(data[view], shownData[view]) : 0;
  const set = (changes) => go(link("traces", selected ? [selected] : [], { ...Object.fromEntries(params), ...changes }), true);
  const models = useValues("model_id", `${about.value.prefix}model_inference_total`);
  const routes = useValues("route", `${about.value.prefix}http_requests_total`);
  const find = (value) => {
    const found = value.match(/(?:^|\b)[0-9a-f]{32}(?:\b|$)/i);
    if (found) {
      setText("");
      go(link("traces", [found[0].toLowerCase()], Object.fromEntries(params)));
    } else setText(value);
  };
  const all = shownData?.[view] ?? [];
  const rows = text ? all.filter((row) => row.name.toLowerCase().includes(text.toLowerCase())) : all;
  const total = shownData?.totals?.[view] ?? all.length;
  const longest = Math.max(...rows.map(secondsOf), 1e-9);
  const onKey = (event) => {
    const links = [...event.currentTarget.querySelectorAll("a.row")];
    const at = links.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    links[Math.max(0, Math.min(to, links.length - 1))]?.focus();
  };
  return html`<section class="lists" aria-label="Traces">
    <div class="filters">
      <div class="chips" role="group" aria-label="Which traces">
        ${Object.entries(VIEWS).map(([name, [title, meaning]]) => html`<button key=${name} type="button" aria-pressed=${view === name} title=${meaning} onClick=${() => set({ view: name })}>${title}</button>`)}
      </div>
      <input type="search" data-search placeholder="Filter by name, or paste a trace id" aria-label="Filter by name, or paste a trace id" autocomplete="off" spellcheck="false" value=${text} onInput=${(event) => find(event.target.value)} />
      <${Choice} label="Model" value=${params.get("model")} values=${models} any="any model" set=${(model) => set({ model })} />
      <${Choice} label="Route" value=${params.get("route")} values=${routes} any="any route" set=${(value) => set({ route: value })} />
      <${Choice} label="Status" value=${params.get("status")} values=${["ok", "failed"]} any="any status" set=${(status) => set({ status })} />
      <label><span class="unseen">Duration</span><select value=${params.get("min_seconds") ?? ""} onChange=${(event) => set({ min_seconds: event.target.value })}>
        ${DURATIONS.map(([value, title]) => html`<option key=${value} value=${value}>${title}</option>`)}
      </select></label>
    </div>
    <p class="faint order">${VIEWS[view][1]}${shownData && rows.length > 0 ? ` · ${rows.length.toLocaleString("en")} of ${count(total, view === "open" ? "span" : "trace")}` : ""}
      ${waiting > 0 && html` <button type="button" class="newer" onClick=${() => (held.current = undefined, reload())}>Show ${count(waiting, "newer one")}</button>`}</p>
    ${error && !shownData ? html`<${Failure} what="The traces could not be read." error=${error} retry=${reload} />` : isLoading && !shownData ? html`<${Loading} height=${300} />` : undefined}
    <ul class="rows" onKeyDown=${onKey}>
      ${rows.map((row) => html`<${Row} key=${keyOf(row)} row=${row} longest=${longest} selected=${selected} params=${params} at=${shownData.now} />`)}
    </ul>
    ${shownData && rows.length === 0 && html`<${Nothing} answer=${shownData} view=${view} wanted=${text} isFiltered=${["model", "route", "status", "min_seconds"].some((key) => params.get(key))} />`}
  </section>`;
}

const keyOf = (row) => (row.ageSeconds === undefined ? row.traceId : (row.spanId ?? `${row.target} ${row.name}`));
const secondsOf = (row) => row.ageSeconds ?? row.durationSeconds;

function newcomers(fresh = [], shown = []) {
  const known = new Set(shown.map(keyOf));
  return fresh.filter((row) => !known.has(keyOf(row))).length;
}

/** The values of a label, for a choice. */
function useValues(label, metric) {
  const { data } = useFetch(about.value.features.alerting ? `api/v1/label/${label}/values?match[]=${encodeURIComponent(metric)}` : "", 10_000);
  return data?.data ?? [];
}

function Choice({ label, value, values, any, set }) {
  const all = value && !values.includes(value) ? [value, ...values] : values;
  return html`<label><span class="unseen">${label}</span><select value=${value ?? ""} class=${value ? "chosen" : ""} onChange=${(event) => set(event.target.value)}>
    <option value="">${any}</option>
    ${all.map((one) => html`<option key=${one} value=${one}>${one}</option>`)}
  </select></label>`;
}

function Row({ row, longest, selected, params, at }) {
  const isOpen = row.ageSeconds !== undefined;
  const seconds = secondsOf(row);
  const isFailed = row.failed > 0;
  const began = isOpen ? undefined : row.startedAt;
  const href = row.traceId ? link("traces", [row.traceId], Object.fromEntries(params)) : undefined;
  const outside = safeLink(row.url);
  const facts = [
    row.model && html`<bdi class="model">${row.model}</bdi>`,
    row.outputTokens !== undefined && row.outputTokens !== null && `${row.outputTokens.toLocaleString("en")} tok`,
    row.statusCode && `HTTP ${row.statusCode}`,
    isOpen ? html`<bdi>${row.target}</bdi>` : count(row.spans, "span"),
    isFailed && html`<${State} state="critical">${row.failed === 1 ? "failed" : `${row.failed} failed`}<//>`,
    !isOpen && !row.isComplete && "under way",
  ].filter(Boolean);
  return html`<li class=${`${isFailed ? "failed" : ""} ${isOpen ? "open" : ""}`} data-key=${keyOf(row)}>
    <a class="row" href=${href} aria-current=${row.traceId && row.traceId === selected ? "true" : undefined} data-outside=${outside ? "" : undefined}>
      <bdi class="name" title=${row.name}>${row.name || "(no name)"}</bdi>
      <span class="facts">${facts.map((fact, index) => [index > 0 && " · ", fact])}</span>
      <span class="measure" aria-hidden="true"><i class="length" style=${{ width: `${(seconds / longest) * 100}%` }}></i></span>
      <span class="took">${duration(seconds)}</span>
      <time class="age" datetime=${began && iso(began)}>${began ? ago(Math.max(now() - began, 0)) : "open"}</time>
    </a>
    ${outside && html`<a class="outside" href=${outside} target="_blank" rel="noopener noreferrer" title=${`Open in ${new URL(outside).host}`} aria-label=${`Open in ${new URL(outside).host}`}>↗</a>`}
  </li>`;
}

/** An empty list, with advice. */
function Nothing({ answer, view, wanted, isFiltered }) {
  if (answer.disabledBy === "traces.live.enabled") {
    return html`<${Empty} title="Live traces are off"><p>Traces are exported, but none are kept here. Set <code>traces.live.enabled</code> to <code>true</code> in the configuration, and start again.</p><//>`;
  }
  if (!answer.isEnabled) {
    return html`<${Empty} title="Traces are off"><p>Turn them on and start again; they are shown here without a collector:</p>
      <pre tabindex="0"><code>OTEL_TRACES_EXPORTER=otlp</code></pre>
      <p>or in code <code>config.with_trace_exporters([TraceExporter::Otlp])</code>. <code>OTEL_TRACES_EXPORTER=console</code> writes them to standard error.</p><//>`;
  }
  if (wanted) return html`<${Empty} title="No trace with this name"><p>No name in this list contains “<bdi>${wanted}</bdi>”.</p><//>`;
  if (isFiltered) return html`<${Empty} title="No trace passes the filters"><p><a href="#/traces">Show all traces</a></p><//>`;
  if (view === "failed") return html`<${Empty} title="Nothing failed"><p>No trace of the last minutes has a span that failed.</p><//>`;
  if (view === "open") return html`<${Empty} title="Nothing is open"><p>No span of a sampled trace is open at this moment.</p><//>`;
  const ratio = answer.samplingRatio;
  return html`<${Empty} title="No traces yet">
    <p>A trace is listed some seconds after its first span has ended. Call the service once, and look here again.</p>
    ${ratio < 1 && html`<p>Of the traces that begin here, ${ratio === 0 ? "none is" : `${share(ratio)} are`} kept: <code>OTEL_TRACES_SAMPLER_ARG</code> (<code>traces.sampling.ratio</code>). Set it to 1 to see all of them.</p>`}
  <//>`;
}

function Trace({ id, span, params }) {
  const root = useRef();
  const pane = useRef();
  const back = Object.fromEntries(params);
  useEffect(() => {
    const close = () => {
      go(link("traces", [], back));
      setTimeout(() => document.querySelector(`li[data-key="${id}"] a.row`)?.focus());
    };
    pane.current = new TracePane(root.current, close, (_, chosen) => go(link("traces", [id, chosen], back), true));
    pane.current.open(id);
    let timer;
    let isGone = false;
    const read = async () => {
      clearTimeout(timer);
      try {
        const answer = await ask(`api/observatory/traces/${id}`);
        if (isGone) return;
        pane.current.show(answer, route.value.args[1]);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        if (isGone) return;
        pane.current.miss(error);
      }
      if (pane.current.isUnderWay) timer = setTimeout(() => (isLive.value && !document.hidden ? read() : undefined), 2000);
    };
    const onKey = (event) => event.key === "Escape" && !event.defaultPrevented && !document.querySelector("dialog[open]") && close();
    addEventListener("keydown", onKey);
    read();
    return () => {
      isGone = true;
      clearTimeout(timer);
      removeEventListener("keydown", onKey);
    };
  }, [id]);
  useEffect(() => pane.current?.pick(span), [span]);
  return html`<article ref=${root} class="trace card" aria-labelledby="trace-name"></article>`;
}
