// The parts that the views share: states of a card, icons, tables, dialogs, buttons that copy.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./preact.js";
import { measure } from "./format.js";
import { ask, pollNow, setToken, token } from "./store.js";

const ICONS = {
  overview: "M3 12h4l3-8 4 16 3-8h4",
  models: "M4 6h16M4 12h16M4 18h16M8 4v4M15 10v4M10 16v4",
  traces: "M3 5h10M7 10h12M11 15h9M5 20h8",
  alerts: "M12 3a6 6 0 0 0-6 6v5l-2 3h16l-2-3V9a6 6 0 0 0-6-6M10 20h4",
  slos: "M4 19V5M4 19h16M8 15l4-5 3 3 5-7",
  health: "M12 20S4 15 4 9a4 4 0 0 1 8-1 4 4 0 0 1 8 1c0 6-8 11-8 11",
  profiles: "M4 20h16M6 16h12M9 12h8M11 8h3M12 4h1",
  explore: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13M15.5 15.5 21 21",
  system: "M5 5h14v10H5zM9 19h6M12 15v4",
  ok: "M5 12l5 5L19 7",
  warning: "M12 4 2.5 20h19zM12 10v4M12 17v.5",
  critical: "M6 6l12 12M18 6 6 18",
  unknown: "M9 9a3 3 0 1 1 4 3c-1 .6-1 1-1 2M12 17v.5",
};

export function Icon({ name }) {
  return html`<svg class=${`icon icon-${name}`} viewBox="0 0 24 24" aria-hidden="true"><path d=${ICONS[name]} /></svg>`;
}

/** A state with an icon and a word: `ok`, `warning`, `critical` or `unknown`. */
export function State({ state, children }) {
  return html`<span class=${`state ${state}`}><${Icon} name=${state} /><span>${children}</span></span>`;
}

export function Card({ title, note, actions, children, class: kind = "", width = 12, id }) {
  return html`<section class=${`card ${kind}`} style=${{ "--columns": width }} aria-label=${typeof title === "string" ? title : undefined} id=${id}>
    ${title && html`<header><h2 title=${note}>${title}</h2>${actions && html`<div class="actions">${actions}</div>`}</header>`}
    ${children}
  </section>`;
}

/** A placeholder that appears after 200 ms, so that quick answers do not flicker. */
export function Loading({ height = 120 }) {
  return html`<div class="skeleton" style=${{ height: `${height}px` }} role="status"><span class="unseen">Loading</span></div>`;
}

export function Empty({ title, children }) {
  return html`<div class="empty"><h2>${title}</h2>${children}</div>`;
}

/** An error with what failed and a way on. */
export function Failure({ what, error, retry }) {
  if (error?.status === 401 || error?.status === 403) return html`<${TokenField} why=${error.message} />`;
  return html`<div class="failure" role="alert">
    <p><strong>${what}</strong> ${error?.message ?? String(error)}</p>
    <p>
      <button type="button" onClick=${retry ?? pollNow}>Try again</button>
      ${" "}<a href="#/system">See the state of monitoring</a>
    </p>
  </div>`;
}

/** The state of a feature that is not in this build, or whose endpoint does not exist. */
export function Missing({ what, feature, lines, children }) {
  return html`<${Empty} title=${`${what} not available`}>
    ${feature && html`<p>This build of the service has no feature <code>${feature}</code>. Add it in <code>Cargo.toml</code> and build again:</p>`}
    ${lines && html`<pre tabindex="0"><code>${lines}</code></pre>`}
    ${children}
  <//>`;
}

export function TokenField({ why }) {
  const [text, setText] = useState("");
  const submit = (event) => {
    event.preventDefault();
    setToken(text.trim());
  };
  return html`<form class="token" onSubmit=${submit}>
    <h2>A token is needed</h2>
    <p>${why}</p>
    <label>Token <input type="password" autocomplete="off" value=${text} onInput=${(event) => setText(event.target.value)} /></label>
    <button type="submit" class="primary">Use the token</button>
    ${token.value && html`<p class="faint">The present token was refused.</p>`}
    <p class="faint">It is the value of <code>OBSERVATORY_TOKEN</code>. This tab keeps it until it is closed.</p>
  </form>`;
}

/** A modal dialog. The browser keeps the focus inside, closes it with Esc, and returns the focus. */
export function Dialog({ title, close, children }) {
  const root = useRef();
  useLayoutEffect(() => {
    root.current.showModal();
    return () => root.current?.close();
  }, []);
  return html`<dialog ref=${root} onClose=${close} aria-labelledby="dialog-title">
    <header><h2 id="dialog-title">${title}</h2><button type="button" class="quiet" aria-label="Close" onClick=${() => root.current.close()}>✕</button></header>
    ${children}
  </dialog>`;
}

/** Copies a text. Browsers have the clipboard only over HTTPS and on localhost. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = document.createElement("textarea");
    field.value = text;
    document.body.append(field);
    field.select();
    const isCopied = document.execCommand("copy");
    field.remove();
    return isCopied;
  }
}

export function CopyButton({ text, children, class: kind }) {
  const [said, setSaid] = useState();
  const act = async () => {
    const isCopied = await copy(typeof text === "function" ? text() : text);
    setSaid(isCopied ? "Copied" : "Not copied: the browser forbids it");
    setTimeout(setSaid, 2000, undefined);
  };
  return html`<button type="button" class=${kind} onClick=${act} aria-live="polite">${said ?? children}</button>`;
}

/** A button that changes something on the server, and says the result. */
export function ActionButton({ path, method, body, children, done = "Done", class: kind, onDone }) {
  const [state, setState] = useState();
  const act = async () => {
    setState({ isBusy: true });
    try {
      const answer = await ask(path, { method, body: method === "DELETE" ? undefined : (body ?? {}) });
      setState({ text: answer.warning ? `${done}, but: ${answer.warning}` : done });
      onDone?.(answer);
      pollNow();
    } catch (error) {
      setState({ text: error.message, isBad: true });
    }
  };
  return html`<button type="button" class=${kind} disabled=${state?.isBusy} onClick=${act}>${children}</button>
    ${state?.text && html`<span class=${state.isBad ? "said bad" : "said"} role="status">${state.text}</span>`}`;
}

/**
 * A sortable table. A column has `title`, `value(row)` for sorting, `cell(row)` for drawing, and `unit` or `isText`. More
 * rows than fit into the window are drawn only while they are visible.
 */
export function Table({ columns, rows, keyOf, initial, label, hrefOf }) {
  const [order, setOrder] = useState(initial ?? { at: 0, isDown: false });
  const [window_, setWindow] = useState(0);
  const column = columns[order.at];
  const compare = (one, other) => {
    const [a, b] = [column.value(one), column.value(other)];
    if (a === undefined || Number.isNaN(a)) return 1;
    if (b === undefined || Number.isNaN(b)) return -1;
    const way = typeof a === "string" ? a.localeCompare(b) : a - b;
    return order.isDown ? -way : way;
  };
  const sorted = [...rows].sort(compare);
  const ROW = 37;
  const MANY = 200;
  const first = sorted.length > MANY ? Math.max(0, Math.floor(window_ / ROW) - 10) : 0;
  const last = sorted.length > MANY ? first + 60 : sorted.length;
  const head = (one, at) => html`<th scope="col" class=${one.isText ? "text" : ""} aria-sort=${order.at === at ? (order.isDown ? "descending" : "ascending") : "none"}>
    <button type="button" onClick=${() => setOrder({ at, isDown: order.at === at ? !order.isDown : !one.isText })}>${one.title}${order.at === at ? (order.isDown ? " ↓" : " ↑") : ""}</button>
  </th>`;
  const cell = (one, row, at) => {
    const content = one.cell ? one.cell(row) : one.isText ? one.value(row) : measure(one.value(row), one.unit);
    return html`<td class=${`${one.isText ? "text" : ""} ${one.class ?? ""}`} title=${one.isText ? undefined : one.value(row)}>${at === 0 && hrefOf ? html`<a class="row-link" href=${hrefOf(row)}>${content}</a>` : content}</td>`;
  };
  return html`<div class=${sorted.length > MANY ? "table many" : "table"} onScroll=${(event) => setWindow(event.currentTarget.scrollTop)} tabindex="0" role="region" aria-label=${label}>
    <table>
      <thead><tr>${columns.map(head)}</tr></thead>
      <tbody>
        ${first > 0 && html`<tr style=${{ height: `${first * ROW}px` }} aria-hidden="true"></tr>`}
        ${sorted.slice(first, last).map((row) => html`<tr key=${keyOf(row)}>${columns.map((one, at) => cell(one, row, at))}</tr>`)}
        ${last < sorted.length && html`<tr style=${{ height: `${(sorted.length - last) * ROW}px` }} aria-hidden="true"></tr>`}
      </tbody>
    </table>
  </div>`;
}

/** The labels of a series or an alert as chips. */
export function Labels({ labels, without = [] }) {
  const pairs = Object.entries(labels).filter(([name]) => name !== "__name__" && !without.includes(name));
  return html`<span class="labels">${pairs.map(([name, value]) => html`<span class="label-chip" key=${name}><span class="faint">${name}</span> <bdi>${value}</bdi></span>`)}</span>`;
}

/** Draws again every second, for ages. */
export function useSeconds() {
  const [, set] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => !document.hidden && set((count) => count + 1), 1000);
    return () => clearInterval(timer);
  }, []);
}

/** Returns an address if it is http or https, whatever the configuration contains. */
export function safeLink(url) {
  if (typeof url !== "string" || !URL.canParse(url)) return undefined;
  const parsed = new URL(url);
  return ["http:", "https:"].includes(parsed.protocol) ? parsed.href : undefined;
}
