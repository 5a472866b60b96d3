// Shows one trace: its summary, its waterfall, and the selected span.

import { Details } from "./details.js";
import { element, foreign, linkOutside } from "./elements.js";
import { ago, count, duration, iso, moment } from "./format.js";
import { firstToSee, treeOf } from "./tree.js";
import { Waterfall } from "./waterfall.js";

export class TracePane {
  #root;
  #said = element("p", { class: "unseen", role: "status" });
  #head = element("header");
  #details = new Details();
  #waterfall;
  #close;
  #id;
  #answer;
  #tree;
  #selected;
  #missed;

  /** `close` is called when the reader closes the trace; `choose` is called with the selected span. */
  constructor(root, close, choose) {
    this.#root = root;
    this.#close = close;
    this.#waterfall = new Waterfall((node) => {
      this.#select(node);
      choose(this.#id, node.id);
    });
    this.#root.append(this.#head, this.#said);
    this.#root.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Returns the id of the trace. */
  get id() {
    return this.#id;
  }

  /** Returns the number of its ended spans, including those that are not shown. */
  get ended() {
    return this.#tree && this.#tree.ended + this.#tree.leftOut;
  }

  /** Whether more spans are expected. */
  get isUnderWay() {
    return this.#tree === undefined || this.#tree.open > 0;
  }

  /** Opens a trace before its spans have been fetched. */
  open(id) {
    this.#id = id;
    this.#answer = undefined;
    this.#tree = undefined;
    this.#missed = undefined;
    this.#root.hidden = false;
    this.#write([element("h2", { id: "trace-name", text: "Loading …" })], []);
  }

  /** Shows a response. */
  show(answer, spanId) {
    const isSame = this.#tree !== undefined;
    this.#answer = answer;
    this.#tree = treeOf(answer);
    const wanted = isSame ? this.#selected?.id : spanId;
    const selected = this.#tree.order.find((node) => node.id === wanted) ?? firstToSee(this.#tree);
    this.#writeHead();
    if (!isSame) {
      this.#root.append(this.#waterfall.root, this.#details.root);
    }
    this.#waterfall.show(this.#tree, this.#tree.root.name, selected, isSame);
    this.#select(selected);
    if (!isSame) this.focus();
  }

  /** Selects another span. */
  pick(spanId) {
    const node = this.#tree?.order.find((one) => one.id === spanId);
    if (node && node !== this.#selected) this.#waterfall.pick(node);
  }

  /** Shows that the server does not have the trace, or does not respond; `url` may still lead to it. */
  miss(refusal) {
    // Spans that are shown stay, and a message that is shown is not announced again.
    if (this.#tree || this.#missed === refusal.message) return;
    this.#missed = refusal.message;
    const is404 = refusal.status === 404;
    const why = is404
      ? "It may be older than what is kept here (traces.live.window, traces.live.bytes), or sampling did not keep it. If it has only just begun, it comes by itself."
      : "It is tried again with the next look at the server.";
    this.#write(
      [
        element("h2", { id: "trace-name", text: is404 ? "This trace is not here" : refusal.message }),
        this.#identity(refusal.body?.url),
        element("p", { text: why }),
      ],
      [],
    );
  }

  /** Closes the trace. */
  hide() {
    this.#id = undefined;
    this.#tree = undefined;
    this.#answer = undefined;
    this.#root.hidden = true;
  }

  focus() {
    if (this.#tree) this.#waterfall.focus();
    else this.#head.querySelector("button")?.focus();
  }

  #write(head, rest) {
    this.#waterfall.root.remove();
    this.#details.root.remove();
    this.#head.replaceChildren(this.#back(), ...head);
    this.#root.append(...rest);
  }

  #writeHead() {
    const { root, begin, length, failed, open, ended } = this.#tree;
    const focused = this.#head.contains(document.activeElement) ? document.activeElement.className : undefined;
    const facts = [
      element("strong", { text: duration(length / 1000) }),
      element("time", { datetime: iso(begin), text: `${moment(begin)}, ${ago(this.#answer.now - begin)}` }),
      count(ended + open, "span"),
      failed > 0 ? element("strong", { class: "failed", text: `${failed.toLocaleString("en")} failed` }) : undefined,
      open > 0 ? `${open.toLocaleString("en")} still open` : undefined,
    ].filter(Boolean);
    const joined = facts.flatMap((fact, index) => (index > 0 ? [" · ", fact] : [fact]));
    this.#head.replaceChildren(
      this.#back(),
      foreign("h2", root.name || "(no name)", { id: "trace-name", title: root.name }),
      element("p", { class: "summary" }, ...joined),
      this.#identity(this.#answer.url),
      ...this.#notes().map((note) => element("p", { class: "note", text: note })),
    );
    if (focused) this.#head.querySelector(`.${focused}`)?.focus();
  }

  #notes() {
    const { order, leftOut } = this.#tree;
    const missing = order.filter((node) => node.isOrphan && !node.parentIsRemote);
    const skewed = order.filter((node) => node.skew > 0);
    const most = Math.max(...skewed.map((node) => node.skew));
    return [
      leftOut > 0 && `${count(leftOut, "span")} of it ${leftOut === 1 ? "is" : "are"} not shown, for want of room (traces.live.bytes).`,
      missing.length > 0 &&
        `The parent of ${count(missing.length, "span")} is not here: it has not ended, or was left out. They stand at the left.`,
      skewed.length > 0 &&
        `${count(skewed.length, "span begins", "spans begin")} before ${skewed.length === 1 ? "its" : "their"} parent, by up to ${duration(most / 1000)}: their clocks differ.`,
    ].filter(Boolean);
  }

  #back() {
    return element("button", { type: "button", class: "back", title: "Back to the list (Esc)", onclick: () => this.#close() }, "← Traces");
  }

  #identity(url) {
    const copy = element("button", { type: "button", class: "copy", text: "Copy id" });
    const code = element("code", { text: this.#id });
    copy.addEventListener("click", () => this.#copy(copy, code));
    return element("p", { class: "identity" }, code, copy, linkOutside(url, { class: "elsewhere" }));
  }

  async #copy(button, code) {
    let isCopied = true;
    try {
      await navigator.clipboard.writeText(this.#id);
    } catch {
      // Browsers provide the clipboard only over HTTPS and on localhost.
      getSelection().selectAllChildren(code);
      isCopied = document.execCommand("copy");
    }
    button.textContent = isCopied ? "Copied" : "Press Ctrl+C";
    this.#said.textContent = isCopied ? "Trace id copied" : "Trace id selected";
    setTimeout(() => (button.textContent = "Copy id"), 2000);
  }

  #select(node) {
    this.#selected = node;
    this.#details.show(node, this.#tree);
  }

  #key(event) {
    const isInDetails = this.#details.root.contains(event.target);
    if (event.key === "Escape") {
      if (isInDetails) this.#waterfall.focus();
      else this.#close();
    } else if (event.key === "Enter" && event.target.getAttribute("role") === "tree") {
      this.#details.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
