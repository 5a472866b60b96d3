// Draws the spans of a trace as rows on one time axis. Only visible rows have elements, so a thousand spans cost as
// much as forty.

import { element, path } from "./elements.js";
import { duration, ticks } from "./format.js";
import { shown } from "./tree.js";

/** The number of rows above and below the visible rows that have elements. */
const MARGIN_ROWS = 8;
/** The number of segments of a bar. A segment shows at most one mark, however many events it contains. */
const MAX_MARKS = 400;
/** The position on the axis from which a label stands before its line, and the pixels that two labels need. */
const LAST_LABEL_POSITION = 0.88;
const TWO_LABELS_PX = 130;
/** The maximum indentation. Deeper levels are announced only to screen readers. */
const MAX_INDENT = 9;

export class Waterfall {
  #axis = element("div", { class: "axis", "aria-hidden": "true" }, element("span"), element("span"), element("div", { class: "scale" }));
  #tree = element("div", { class: "spans", role: "tree", tabindex: "0" });
  #trace;
  #rows = [];
  #pool = new Map();
  #closed = new Set();
  #selected;
  #height = 28;
  #frame;
  #choose;

  /** `choose` is called with the selected span. */
  constructor(choose) {
    this.root = element("div", { class: "waterfall" }, this.#axis, this.#tree);
    this.#choose = choose;
    this.root.addEventListener("scroll", () => this.#later(), { passive: true });
    this.#tree.addEventListener("keydown", (event) => this.#walk(event));
    this.#tree.addEventListener("click", (event) => this.#click(event));
    new ResizeObserver(() => this.#resize()).observe(this.root);
  }

  /** Shows a trace. A trace that is already shown keeps its collapsed rows, selection and scroll position. */
  show(trace, name, selected, isSame) {
    if (!isSame) {
      this.#closed.clear();
      this.root.scrollTop = 0;
    }
    this.#trace = trace;
    this.#selected = selected;
    this.#tree.setAttribute("aria-label", `Spans of ${name}`);
    this.#reshape();
    this.#resize();
    if (!isSame) this.#reveal(selected);
  }

  /** Selects the span that the URL names, and expands its ancestors. */
  pick(node) {
    for (let above = node.parent; above; above = above.parent) this.#closed.delete(above.id);
    this.#reshape();
    this.#resize();
    this.#select(node);
  }

  focus() {
    this.#tree.focus({ preventScroll: true });
  }

  #select(node) {
    if (!node) return;
    this.#selected = node;
    this.#reveal(node);
    this.#draw();
    this.#choose(node);
  }

  #reshape() {
    this.#rows = shown(this.#trace, this.#closed);
    this.#rows.forEach((node, index) => (node.row = index));
    this.#resetPool();
  }

  #resetPool() {
    for (const row of this.#pool.values()) row.root.remove();
    this.#pool.clear();
  }

  #resize() {
    if (!this.#trace) return;
    this.#height = Number.parseFloat(getComputedStyle(this.root).getPropertyValue("--row")) || 28;
    this.#tree.style.height = `${this.#rows.length * this.#height}px`;
    const scale = this.#axis.lastChild;
    const parts = Math.max(2, Math.min(8, Math.floor(scale.clientWidth / 88)));
    const marks = ticks(this.#trace.length, parts);
    const step = marks.length > 1 ? marks[1] / this.#trace.length : 1;
    scale.replaceChildren(
      ...marks.map((mark) => {
        const at = mark / this.#trace.length;
        // The last label stands before its line, if there is room for two labels.
        const isLast = at > LAST_LABEL_POSITION;
        const isRoomy = !isLast || step * scale.clientWidth > TWO_LABELS_PX;
        const tick = element("span", { text: isRoomy ? duration(mark / 1000) : "", class: isLast ? "last" : "" });
        tick.style.left = `${at * 100}%`;
        return tick;
      }),
    );
    this.#tree.style.setProperty("--step", `${step * 100}%`);
    this.#draw();
  }

  #later() {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#draw();
    });
  }

  #draw() {
    const { scrollTop, clientHeight } = this.root;
    const first = Math.max(0, Math.floor(scrollTop / this.#height) - MARGIN_ROWS);
    const last = Math.min(this.#rows.length, Math.ceil((scrollTop + clientHeight) / this.#height) + MARGIN_ROWS);
    for (const [node, row] of this.#pool) {
      if (node.row >= first && node.row < last) continue;
      row.root.remove();
      this.#pool.delete(node);
    }
    for (const node of this.#rows.slice(first, last)) {
      const row = this.#pool.get(node) ?? this.#row(node);
      row.root.style.transform = `translateY(${node.row * this.#height}px)`;
      row.root.setAttribute("aria-selected", String(node === this.#selected));
    }
    if (this.#pool.has(this.#selected)) this.#tree.setAttribute("aria-activedescendant", idOf(this.#selected));
    else this.#tree.removeAttribute("aria-activedescendant");
  }

  #row(node) {
    const bar = element("span", { class: `bar ${node.error === null ? node.kind : "failed"}${node.isOpen ? " open" : ""}` });
    const at = (milliseconds) => ((milliseconds - this.#trace.begin) / this.#trace.length) * 100;
    const left = Math.max(0, Math.min(at(node.start), 100));
    bar.style.left = `${left}%`;
    bar.style.width = `${Math.max(0, Math.min((node.duration / this.#trace.length) * 100, 100 - left))}%`;
    const line = element("span", { class: "line" }, bar, this.#marks(node));
    const hasChildren = node.children.length > 0;
    const isClosed = this.#closed.has(node.id);
    const name = element("span", { class: "label" });
    name.style.setProperty("--depth", Math.min(node.depth, MAX_INDENT));
    name.append(
      element("span", { class: "toggle", "aria-hidden": "true", text: hasChildren ? (isClosed ? "▸" : "▾") : "" }),
      element("bdi", { text: node.name || "(no name)" }),
    );
    for (const badge of badges(node, isClosed)) name.append(badge);
    const siblings = node.parent?.children;
    const root = element(
      "div",
      {
        class: "span",
        role: "treeitem",
        id: idOf(node),
        title: node.name,
        "aria-level": String(node.depth + 1),
        "aria-setsize": siblings && String(siblings.length),
        "aria-posinset": siblings && String(siblings.indexOf(node) + 1),
        "aria-expanded": hasChildren && String(!isClosed),
      },
      name,
      element("span", { class: "took", text: duration(node.duration / 1000) }),
      element("span", { class: "unseen", text: unseen(node, this.#trace) }),
      line,
    );
    const row = { root, node };
    this.#pool.set(node, row);
    this.#tree.append(root);
    return row;
  }

  /** Draws all events of a span in one path, since a token stream has hundreds. */
  #marks(node) {
    if (node.events.length === 0) return undefined;
    const { drawing, drawn } = path(1000, 10);
    const places = new Set();
    for (const event of node.events) {
      const at = (node.start - this.#trace.begin + event.afterSeconds * 1000) / this.#trace.length;
      places.add(Math.round(Math.max(0, Math.min(at, 1)) * MAX_MARKS));
    }
    drawing.setAttribute("class", "events");
    drawn.setAttribute("d", [...places].map((place) => `M${(place / MAX_MARKS) * 1000} 0v10`).join(""));
    return drawing;
  }

  #reveal(node) {
    const top = node.row * this.#height;
    const room = this.root.clientHeight - this.#axis.offsetHeight;
    if (top < this.root.scrollTop) this.root.scrollTop = top;
    else if (top + this.#height > this.root.scrollTop + room) this.root.scrollTop = top + this.#height - room;
  }

  #toggle(node, isClosed) {
    if (node.children.length === 0 || this.#closed.has(node.id) === isClosed) return;
    if (isClosed) this.#closed.add(node.id);
    else this.#closed.delete(node.id);
    this.#reshape();
    this.#tree.style.height = `${this.#rows.length * this.#height}px`;
    this.#draw();
  }

  #click(event) {
    const root = event.target.closest(".span");
    const row = [...this.#pool.values()].find((one) => one.root === root);
    if (!row) return;
    if (event.target.closest(".toggle") && row.node.children.length > 0) {
      const isClosed = !this.#closed.has(row.node.id);
      this.#toggle(row.node, isClosed);
      // A hidden row cannot stay selected.
      if (isClosed && this.#rows[this.#selected.row] !== this.#selected) this.#select(row.node);
      return;
    }
    this.#select(row.node);
  }

  #walk(event) {
    const node = this.#selected;
    const rows = this.#rows;
    const page = Math.max(1, Math.floor(this.root.clientHeight / this.#height) - 2);
    const to = {
      ArrowDown: node.row + 1,
      ArrowUp: node.row - 1,
      PageDown: node.row + page,
      PageUp: node.row - page,
      Home: 0,
      End: rows.length - 1,
    }[event.key];
    const isClosed = this.#closed.has(node.id);
    if (to !== undefined) this.#select(rows[Math.max(0, Math.min(to, rows.length - 1))]);
    else if (event.key === "ArrowRight" && isClosed) this.#toggle(node, false);
    else if (event.key === "ArrowRight") this.#select(node.children[0]);
    else if (event.key === "ArrowLeft" && node.children.length > 0 && !isClosed) this.#toggle(node, true);
    else if (event.key === "ArrowLeft") this.#select(node.parent);
    else return;
    event.preventDefault();
  }
}

function idOf(node) {
  return `span-${node.id ?? "open"}`;
}

function badges(node, isClosed) {
  const badge = (text, kind, title) => element("span", { class: `badge ${kind}`, text, title });
  const found = [];
  if (isClosed) found.push(badge(`+${node.below}`, "", `${node.below} spans below it`));
  if (node.error !== null) found.push(badge("failed", "failed", node.error || "It failed."));
  if (node.isOpen) found.push(badge("open", "", "It has not ended yet."));
  if (node.kind !== "internal") found.push(badge(node.kind, "", `Span kind ${node.kind}`));
  if (node.isOrphan && node.parentIsRemote) found.push(badge("from elsewhere", "", "Its parent is in another process."));
  else if (node.isOrphan) found.push(badge("parent missing", "", "Its parent is not here."));
  if (node.skew > 0) found.push(badge("clock", "", "It begins before its parent: their clocks differ."));
  return found;
}

/** Describes a bar in words. */
function unseen(node, trace) {
  const after = node.start - trace.begin;
  const begins = after > 0 ? `begins after ${duration(after / 1000, true)}` : "begins with the trace";
  return node.error ? `${begins}, failed: ${node.error}` : begins;
}
