// Shows the lists of traces: a tab for each view, a row for each trace. Updates reuse the rows, so that the focused
// element keeps the focus.

import { element, foreign, linkOutside, write } from "./elements.js";
import { ago, count, duration, iso, moment, share } from "./format.js";
import { LIMIT } from "./server.js";

const VIEWS = ["recent", "slowest", "failed", "open"];
const NAMES = { recent: "Recent", slowest: "Slowest", failed: "Failed", open: "Open" };
const MEANING = {
  recent: "Traces of which a span ended last, the latest first",
  slowest: "The slowest traces of the last minutes",
  failed: "Traces in which a span failed, the latest first",
  open: "Spans that are open now, the oldest first",
};
/** The time in milliseconds after the last pointer movement during which the list does not move. */
const HOLD_MS = 3000;

export class Lists {
  #tabs = new Map();
  #rows = new Map();
  #list = document.getElementById("rows");
  #panel = document.getElementById("panel");
  #nothing = document.getElementById("nothing");
  #filter = document.getElementById("filter");
  #touched = -HOLD_MS;
  #offset = 0;
  #view = "recent";
  #shown;
  #waiting;
  #selected;
  #current;

  /** `find` is called with each id that is entered into the filter. */
  constructor(find) {
    const tabs = VIEWS.map((view) => this.#tab(view));
    document.getElementById("tabs").append(...tabs);
    this.#choose(this.#view);
    for (const kind of ["pointermove", "wheel", "touchmove", "keydown"]) {
      this.#list.addEventListener(kind, () => (this.#touched = performance.now()), { passive: true });
    }
    this.#list.addEventListener("keydown", (event) => this.#walk(event));
    this.#list.addEventListener("focusin", (event) => this.#enter(event.target.closest("li")));
    this.#filter.addEventListener("input", () => {
      const id = this.#filter.value.match(/(?:^|\b)[0-9a-f]{32}(?:\b|$)/i);
      if (!id) return this.#draw();
      this.#filter.value = "";
      this.#draw();
      find(id[0].toLowerCase());
    });
  }

  /** Takes a response; if `isHeld`, holds it until `release`. Returns the number of new traces that are held. */
  take(answer, isHeld) {
    this.#offset = answer.now - Date.now();
    const isUnderHand = performance.now() - this.#touched < HOLD_MS;
    if (this.#shown && (isHeld || isUnderHand)) {
      this.#waiting = answer;
      return isHeld ? this.#newcomers() : 0;
    }
    this.#show(answer);
    return 0;
  }

  /** Shows a stored response. */
  release() {
    if (this.#waiting) this.#show(this.#waiting);
  }

  /** Marks the row of the trace that is shown. */
  select(traceId) {
    this.#selected = traceId;
    for (const row of this.#rows.values()) this.#mark(row);
  }

  /** Returns the focus to the row that was focused last. */
  focus() {
    const row = this.#rows.get(this.#selected) ?? this.#rows.get(this.#current) ?? [...this.#rows.values()][0];
    (row?.link ?? this.#tabs.get(this.#view)).focus();
  }

  /** Returns the summary of a trace from the lists. */
  summary(traceId) {
    const answer = this.#waiting ?? this.#shown;
    const lists = [answer?.recent, answer?.failed, answer?.slowest].filter(Boolean);
    return lists.flat().find((trace) => trace.traceId === traceId);
  }

  /** Updates the ages. */
  tick() {
    for (const row of this.#rows.values()) if (row.item.startedAt !== undefined) write(row.when, this.#ago(row.item));
  }

  #show(answer) {
    this.#shown = answer;
    this.#waiting = undefined;
    this.#draw();
  }

  #newcomers() {
    const known = new Set(this.#shown[this.#view].map(keyOf));
    return this.#waiting[this.#view].filter((item) => !known.has(keyOf(item))).length;
  }

  #draw() {
    const answer = this.#shown;
    if (!answer) return;
    for (const [view, tab] of this.#tabs) {
      const { length } = answer[view];
      write(tab.lastChild, length === LIMIT ? `${LIMIT}+` : String(length));
    }
    const wanted = this.#filter.value.trim().toLowerCase();
    const items = answer[this.#view].filter((item) => item.name.toLowerCase().includes(wanted));
    const longest = Math.max(...items.map(secondsOf), 1e-9);
    const focused = document.activeElement?.closest?.("#rows li");
    const rows = new Map();
    let at = this.#list.firstChild;
    for (const item of items) {
      let key = keyOf(item);
      // A trace may be listed twice: kept once because it failed, and again when later spans arrived.
      while (rows.has(key)) key += "'";
      const row = this.#rows.get(key) ?? this.#row(key);
      rows.set(key, row);
      this.#fill(row, item, longest);
      if (row.root === at) at = at.nextSibling;
      else this.#list.insertBefore(row.root, at);
    }
    for (const [key, row] of this.#rows) if (rows.get(key) !== row) row.root.remove();
    this.#rows = rows;
    if (!rows.has(this.#current)) this.#current = rows.keys().next().value;
    for (const row of rows.values()) this.#mark(row);
    // A row loses the focus when it is moved in the document.
    if (focused?.isConnected && !focused.contains(document.activeElement)) {
      focused.querySelector("a")?.focus({ preventScroll: true });
    }
    this.#list.hidden = items.length === 0;
    this.#nothing.hidden = items.length > 0;
    if (items.length === 0) this.#nothing.replaceChildren(...nothing(answer, this.#view, this.#filter.value.trim()));
  }

  #row(key) {
    const [name, facts, when] = [element("span", { class: "name", dir: "auto" }), element("span"), element("time")];
    const [bar, took] = [element("span", { class: "length" }), element("span", { class: "took" })];
    const link = element(
      "a",
      { class: "row" },
      name,
      element("span", { class: "facts" }, when, facts),
      element("span", { class: "measure", "aria-hidden": "true" }, bar),
      took,
    );
    return { key, name, facts, when, bar, took, link, root: element("li", { "data-key": key }, link) };
  }

  #fill(row, item, longest) {
    const isOpen = item.ageSeconds !== undefined;
    const seconds = secondsOf(item);
    row.item = item;
    write(row.name, item.name || "(no name)");
    row.name.title = item.name;
    if (item.traceId) row.link.href = `#${item.traceId}${item.spanId ? `/${item.spanId}` : ""}`;
    else row.link.removeAttribute("href");
    row.link.title = item.traceId ? "" : "A span has its place in a trace from when somebody enters it.";
    row.link.tabIndex = -1;
    write(row.took, duration(seconds));
    row.bar.style.width = `${(seconds / longest) * 100}%`;
    row.root.className = isOpen ? "open" : item.failed > 0 ? "failed" : "";
    if (isOpen) {
      write(row.facts, item.traceId ? item.target : `no trace yet · ${item.target}`);
      row.when.hidden = true;
      return;
    }
    write(row.when, this.#ago(item));
    row.when.dateTime = iso(item.startedAt);
    row.when.title = moment(item.startedAt);
    const facts = [count(item.spans, "span")];
    if (item.failed > 0) facts.push(element("strong", { text: `${item.failed.toLocaleString("en")} failed` }));
    if (!item.isComplete) facts.push("under way");
    row.facts.replaceChildren(...facts.flatMap((fact) => [" · ", fact]));
    if (row.url === item.url) return;
    row.url = item.url;
    row.outside?.remove();
    row.outside = linkOutside(item.url, { class: "outside", "aria-label": `Open ${item.name} in the tracing UI` }, "↗");
    if (row.outside) row.root.append(row.outside);
  }

  #mark(row) {
    const isSelected = this.#selected !== undefined && row.item.traceId === this.#selected;
    if (isSelected) row.link.setAttribute("aria-current", "true");
    else row.link.removeAttribute("aria-current");
    const tabIndex = row.key === this.#current ? 0 : -1;
    row.link.tabIndex = tabIndex;
    if (row.outside) row.outside.tabIndex = tabIndex;
  }

  #ago(item) {
    return `began ${ago(Date.now() + this.#offset - item.startedAt)}`;
  }

  #tab(view) {
    const tab = element(
      "button",
      { type: "button", role: "tab", id: `tab-${view}`, "aria-controls": "panel", title: MEANING[view], onclick: () => this.#choose(view) },
      `${NAMES[view]} `,
      element("span", { class: "count", text: "" }),
    );
    tab.addEventListener("keydown", (event) => {
      const at = VIEWS.indexOf(view);
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
      if (event.key === "ArrowDown") this.focus();
      else if (to === undefined) return;
      else this.#tabs.get(this.#choose(VIEWS.at(to % VIEWS.length))).focus();
      event.preventDefault();
    });
    this.#tabs.set(view, tab);
    return tab;
  }

  #choose(view) {
    this.#view = view;
    for (const [name, tab] of this.#tabs) {
      tab.setAttribute("aria-selected", String(name === view));
      tab.tabIndex = name === view ? 0 : -1;
    }
    this.#panel.setAttribute("aria-labelledby", `tab-${view}`);
    this.#current = undefined;
    if (this.#waiting) this.#show(this.#waiting);
    else this.#draw();
    return view;
  }

  #walk(event) {
    const rows = [...this.#rows.values()];
    const at = rows.findIndex((row) => row.key === this.#current);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to < 0) this.#tabs.get(this.#view).focus();
    else rows[Math.min(to, rows.length - 1)]?.link.focus();
  }

  #enter(root) {
    if (!root) return;
    this.#current = root.dataset.key;
    for (const row of this.#rows.values()) this.#mark(row);
  }
}

function keyOf(item) {
  return item.ageSeconds === undefined ? item.traceId : (item.spanId ?? `${item.target} ${item.name}`);
}

function secondsOf(item) {
  return item.ageSeconds ?? item.durationSeconds;
}

/** Returns the text for an empty list, with advice. */
function nothing(answer, view, wanted) {
  const code = (text) => element("code", { text });
  const title = (text) => element("h2", { text });
  const say = (...parts) => element("p", {}, ...parts);
  if (answer.disabledBy === "traces.live.enabled") {
    return [
      title("Live traces are off"),
      say("Traces are on and are exported, but none are kept here. Set ", code("traces.live.enabled"), " to ", code("true"), " in the configuration, and start again."),
    ];
  }
  if (!answer.isEnabled) {
    return [
      title("Traces are off"),
      say("Say where they go, and start again; they are shown here, too:"),
      element("pre", {}, code("OTEL_TRACES_EXPORTER=otlp")),
      say("or in code ", code("config.with_trace_exporters([TraceExporter::Otlp])"), ". Without a collector, ", code("OTEL_TRACES_EXPORTER=console"), " will do: it writes them to standard error."),
    ];
  }
  if (wanted && answer[view].length > 0) {
    return [title("None by this name"), say("No name in this list contains “", foreign("bdi", wanted), "”.")];
  }
  if (view === "failed") return [title("Nothing failed"), say("No trace of the last minutes has a span that failed.")];
  if (view === "open") return [title("Nothing is open"), say("No span of a trace that is kept is open at this moment.")];
  const ratio = answer.samplingRatio;
  const few = [code("OTEL_TRACES_SAMPLER_ARG"), " (", code("traces.sampling.ratio"), ") says so"];
  return [
    title("No traces yet"),
    say("A trace is listed some seconds after its first span has ended. Call the service once, and look here again."),
    ratio === 0 ? say("Of those that begin here none is kept: ", ...few, ". Set it above 0.") : undefined,
    ratio > 0 && ratio < 1 ? say(`Of those that begin here ${share(ratio)} are kept: `, ...few, ". Set it to 1 to see all of them.") : undefined,
  ].filter(Boolean);
}
