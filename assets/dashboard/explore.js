// Explore: any query of PromQL, as a graph and as a table.

import { html, useEffect, useRef, useState } from "./preact.js";
import { seriesName, measure } from "./format.js";
import { grafanaPanel, Panel } from "./panel.js";
import { Card, CopyButton, Empty, Failure, Loading, Missing, Table } from "./parts.js";
import { about, ask, authorized, BASE, go, link, pollNow, range, Refusal, route, useQueries } from "./store.js";

const UNITS = { count: "number", per_second: "per second", seconds: "seconds", ratio: "share", bytes: "bytes", bytes_per_second: "bytes/s", tokens_per_second: "tokens/s", cores: "cores" };
const MAX_ROWS = 10_000;

export default function Explore() {
  if (!about.value.features.alerting) return html`<${Missing} what="Queries are" feature="alerting" />`;
  const { params } = route.value;
  const query = params.get("q") ?? "";
  const unit = UNITS[params.get("unit")] ? params.get("unit") : "count";
  const [text, setText] = useState(query);
  const [tab, setTab] = useState(params.get("tab") === "table" ? "table" : "graph");
  useEffect(() => setText(query), [query]);
  useEffect(() => {
    const [seconds, end] = [Number(params.get("seconds")), Number(params.get("end"))];
    if (seconds > 0) range.value = end > 0 ? { seconds, end } : { seconds };
  }, []);
  const run = (wanted = text) => {
    go(link("explore", [], { q: wanted.trim(), unit, tab: tab === "table" ? "table" : undefined }), wanted.trim() === query);
    pollNow();
  };
  const share = () => {
    const { seconds, end } = range.value;
    return new URL(link("explore", [], { q: query, unit, tab: tab === "table" ? "table" : undefined, seconds, end }), location.href).href;
  };
  const panel = { id: "explore", title: "Graph", question: query, unit, draw: "lines", width: 12, queries: [{ legend: "", expr: query }], thresholds: [] };
  return html`
    <div class="editor-row">
      <${Editor} query=${query} text=${text} change=${setText} run=${run} />
      <button type="button" class="primary" onClick=${() => run()}>Run</button>
    </div>
    <div class="filters explore-bar">
      <div class="chips" role="group" aria-label="Drawing">
        <button type="button" aria-pressed=${tab === "graph"} onClick=${() => setTab("graph")}>Graph</button>
        <button type="button" aria-pressed=${tab === "table"} onClick=${() => setTab("table")}>Table</button>
      </div>
      <label>Unit <select value=${unit} onChange=${(event) => go(link("explore", [], { q: query, unit: event.target.value }), true)}>${Object.entries(UNITS).map(([value, title]) => html`<option key=${value} value=${value}>${title}</option>`)}</select></label>
      ${query && html`<${CopyButton} text=${share}>Copy the link<//><${CopyButton} text=${() => grafanaPanel(query.slice(0, 60), unit, [query])}>Copy as Grafana panel<//><${Format} query=${query} run=${run} />`}
    </div>
    ${!query ? html`<${Examples} />` : tab === "graph" ? html`<${Panel} key=${query} panel=${panel} height=${360} />` : html`<${Result} query=${query} unit=${unit} />`}`;
}

function Format({ query, run }) {
  const [error, setError] = useState();
  const act = async () => {
    try {
      const { data } = await ask(`api/v1/format_query?query=${encodeURIComponent(query)}`);
      setError(undefined);
      run(data);
    } catch (refusal) {
      if (!(refusal instanceof Refusal)) throw refusal;
      setError(refusal.message);
    }
  };
  return html`<button type="button" onClick=${act}>Format</button>${error && html`<span class="said bad">${error}</span>`}`;
}

function Examples() {
  const panels = about.value.panels.filter((panel) => ["lines", "stack"].includes(panel.draw) && !panel.queries[0].expr.includes("$S"));
  return html`<${Card}><${Empty} title="Ask anything">
    <p>Type a query of PromQL: names and labels complete themselves, Enter runs. Or begin with the query of a chart:</p>
    <ul class="answers">${panels.slice(0, 10).map((panel) => html`<li key=${panel.id}><a href=${link("explore", [], { q: filled(panel.queries[0].expr), unit: panel.unit })}>${panel.question}</a></li>`)}</ul>
  <//><//>`;
}

const filled = (expr) => expr.replaceAll("$P", about.value.prefix).replaceAll("$W", "1m").replaceAll("$O", "");

function Result({ query, unit }) {
  const { results, isLoading } = useQueries([{ expr: query, isInstant: true }]);
  const [result] = results;
  if (isLoading) return html`<${Loading} />`;
  if (result?.error) return html`<${Card}><${Failure} what="The query failed." error=${{ message: result.error }} /><//>`;
  const { resultType, result: value } = result.data;
  if (resultType === "scalar" || resultType === "string") return html`<${Card}><code>${value[1]}</code><//>`;
  const rows = value.slice(0, MAX_ROWS).map(({ metric, value: pair, values }) => ({ metric, name: seriesName(metric), value: Number((pair ?? values?.at(-1))?.[1]) }));
  const columns = [
    { title: "Series", isText: true, class: "series", value: (row) => row.name, cell: (row) => html`<code>${row.name}</code>` },
    { title: "Value", value: (row) => row.value, cell: (row) => measure(row.value, unit) },
  ];
  return html`<${Card} title="Table" actions=${html`<span class="faint">${rows.length.toLocaleString("en")} series${result.warnings ? ` (${result.warnings.join("; ")})` : ""}</span><${CopyButton} class="quiet" text=${() => rows.map((row) => `${row.name}\t${row.value}`).join("\n")}>Copy<//>`}>
    ${rows.length === 0 ? html`<div class="nodata" style=${{ height: "120px" }}>The result is empty</div>` : html`<${Table} label="Rows of the result" columns=${columns} rows=${rows} keyOf=${(row) => row.name} initial=${{ at: 1, isDown: true }} />`}
  <//>`;
}

/** The editor, in a shadow root: outside of one, its styles would violate the content security policy. */
function Editor({ query, text, change, run }) {
  const root = useRef();
  const view = useRef();
  const kept = useRef({});
  Object.assign(kept.current, { change, run });
  const [isPlain, setPlain] = useState(true);
  useEffect(() => {
    let isGone = false;
    import("./editor.js").then(
      (parts) => {
        if (isGone) return;
        const shadow = root.current.shadowRoot ?? root.current.attachShadow({ mode: "open" });
        view.current = editorView(parts, shadow, text, kept);
        setPlain(false);
      },
      () => {}, // The plain field stays.
    );
    return () => {
      isGone = true;
      view.current?.destroy();
      view.current = undefined;
    };
  }, []);
  useEffect(() => {
    // The editor has its own text; only another query of the address replaces it.
    const present = view.current?.state.doc.toString();
    if (present === undefined || present === query) return;
    view.current.dispatch({ changes: { from: 0, to: present.length, insert: query } });
  }, [query]);
  const onKey = (event) => {
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    run();
  };
  return html`<div class="editor" data-search-host>
    ${isPlain && html`<textarea class="plain-editor" data-search rows="1" aria-label="Query" value=${text} spellcheck="false" onInput=${(event) => change(event.target.value)} onKeyDown=${onKey}></textarea>`}
    <div ref=${root} class="editor-host"></div>
  </div>`;
}

function editorView(parts, shadow, text, kept) {
  const { autocompletion, bracketMatching, closeBrackets, closeBracketsKeymap, completionKeymap, defaultKeymap, EditorState, EditorView, HighlightStyle, history, historyKeymap, keymap, lintKeymap, placeholder, Prec, PromQLExtension, syntaxHighlighting, tags } = parts;
  const promql = new PromQLExtension().setComplete({
    remote: {
      url: BASE.href.replace(/\/$/, ""),
      fetchFn: (input, init = {}) => fetch(input, { ...init, headers: authorized(Object.fromEntries(new Headers(init.headers))) }),
      httpMethod: "GET",
    },
  });
  const colors = HighlightStyle.define([
    { tag: tags.keyword, color: "var(--series-7)" },
    { tag: tags.function(tags.variableName), color: "var(--series-1)" },
    { tag: [tags.labelName, tags.propertyName], color: "var(--series-3)" },
    { tag: tags.string, color: "var(--series-2)" },
    { tag: [tags.number, tags.unit], color: "var(--series-4)" },
    { tag: tags.modifier, color: "var(--series-7)" },
    { tag: tags.comment, color: "var(--faint)", fontStyle: "italic" },
  ]);
  const look = EditorView.theme({
    "&": { fontSize: "14px", backgroundColor: "transparent", color: "var(--text)" },
    "&.cm-focused": { outline: "none" },
    ".cm-content": { fontFamily: "var(--mono)", padding: "7px 4px", caretColor: "var(--text)" },
    ".cm-cursor": { borderLeftColor: "var(--text)" },
    ".cm-placeholder": { color: "var(--faint)" },
    "&.cm-focused .cm-selectionBackground, .cm-selectionBackground": { backgroundColor: "var(--chosen) !important" },
    ".cm-tooltip": { backgroundColor: "var(--raised)", border: "1px solid var(--line)", borderRadius: "6px", color: "var(--text)" },
    ".cm-tooltip-autocomplete ul li[aria-selected]": { backgroundColor: "var(--accent)", color: "var(--on-accent)" },
    ".cm-completionDetail": { color: "var(--faint)" },
    // The library underlines with images of data: addresses, which the content security policy forbids.
    ".cm-lintRange": { backgroundImage: "none !important", textDecoration: "underline wavy var(--critical)" },
    ".cm-matchingBracket": { backgroundColor: "var(--chosen) !important" },
  });
  const runKey = { key: "Enter", run: (view) => (kept.current.run(view.state.doc.toString()), true) };
  const newLine = { key: "Shift-Enter", run: (view) => (view.dispatch(view.state.replaceSelection("\n")), true) };
  return new EditorView({
    parent: shadow,
    root: shadow,
    state: EditorState.create({
      doc: text,
      extensions: [
        look,
        syntaxHighlighting(colors),
        history(),
        bracketMatching(),
        closeBrackets(),
        autocompletion({ maxRenderedOptions: 100 }),
        promql.asExtension(),
        EditorView.lineWrapping,
        placeholder("sum by (model_id) (rate(…[1m]))"),
        EditorView.contentAttributes.of({ "aria-label": "Query" }),
        keymap.of([...closeBracketsKeymap, ...completionKeymap]),
        Prec.low(keymap.of([newLine, runKey])),
        keymap.of([...lintKeymap, ...historyKeymap, ...defaultKeymap.filter((binding) => binding.key !== "Enter")]),
        EditorView.updateListener.of((update) => update.docChanged && kept.current.change(update.state.doc.toString())),
      ],
    }),
  });
}
