// Shows the selected span: start and duration, errors, attributes, events.

import { element, foreign } from "./elements.js";
import { count, duration, iso, moment, share } from "./format.js";
import { ownTime } from "./tree.js";

/** The number of events that are shown before the reader asks for more. */
const SHOWN_EVENTS = 50;
/** The length in characters from which a text gets a scrollable box. */
const LONG_TEXT_CHARS = 600;
/** Attributes that every event has and that are rarely of interest; they are listed last. */
const SOURCE_ATTRIBUTES = ["code.file.path", "code.module.name", "code.line.number", "target", "thread.id", "thread.name"];

export class Details {
  root = element("section", { class: "details", "aria-labelledby": "span-name", tabindex: "0" });
  #shown;

  /** Shows a span. An unchanged span is not redrawn, which keeps the focus and the scroll position. */
  show(node, tree) {
    const state = `${node.id} ${node.isOpen ? node.duration : ""}`;
    if (this.#shown === `${tree.begin} ${state}`) return;
    this.#shown = `${tree.begin} ${state}`;
    this.root.scrollTop = 0;
    this.root.replaceChildren(
      foreign("h3", node.name || "(no name)", { id: "span-name", title: node.name }),
      ...(node.error === null ? [] : [errorOf(node)]),
      factsOf(node, tree),
      ...attributesOf(node),
      ...eventsOf(node),
    );
  }

  focus() {
    this.root.focus();
  }
}

function errorOf(node) {
  return element("p", { class: "error", ...room(node.error) }, element("strong", { text: "Failed" }), node.error ? ": " : ".", foreign("bdi", node.error));
}

function factsOf(node, tree) {
  const own = ownTime(node);
  const after = node.start - tree.begin;
  const facts = [
    ["took", node.isOpen ? `${duration(node.duration / 1000)} so far` : duration(node.duration / 1000), `${share(node.duration / tree.length)} of the trace`],
    ["own time", duration(own / 1000), node.children.length > 0 ? `in none of its ${count(node.children.length, "child", "children")}` : "it has no children"],
    ["began", after > 0 ? `after ${duration(after / 1000)}` : "with the trace", element("time", { datetime: iso(node.start), text: moment(node.start) })],
    ["kind", node.kind, ""],
    ["span id", element("code", { text: node.id }), ""],
    parentOf(node),
    node.skew > 0 ? ["clock", `${duration(node.skew / 1000)} before its parent`, "their clocks differ"] : undefined,
  ];
  const rows = facts.filter(Boolean).map(([name, value, more]) =>
    element("div", {}, element("dt", { text: name }), element("dd", {}, value, " ", element("small", {}, more))),
  );
  return element("dl", { class: "figures" }, ...rows);
}

function parentOf(node) {
  if (node.parent) return ["parent", foreign("bdi", node.parent.name), ""];
  if (!node.isOrphan) return undefined;
  const why = node.parentIsRemote ? "in another process" : "not here: it has not ended, or was left out";
  return ["parent", element("code", { text: node.parentId }), why];
}

function attributesOf(node) {
  const { attributes, attributesLeftOut } = node;
  const title = element("h4", { text: attributes.length > 0 ? "Attributes" : "No attributes" });
  const list = element("dl", { class: "attributes" }, ...sorted(attributes).flatMap(pairOf));
  return [title, list, ...leftOut(attributesLeftOut, "attribute")];
}

function eventsOf(node) {
  const { events, eventsLeftOut } = node;
  if (events.length === 0 && !eventsLeftOut) return [];
  const list = element("ol", { class: "happened" }, ...events.slice(0, SHOWN_EVENTS).map(eventOf));
  const parts = [element("h4", { text: count(events.length, "event") }), list];
  if (events.length > SHOWN_EVENTS) {
    const more = element("button", { type: "button", text: `Show all ${count(events.length, "event")}` });
    more.addEventListener("click", () => {
      list.append(...events.slice(SHOWN_EVENTS).map(eventOf));
      list.children[SHOWN_EVENTS].querySelector("summary, .event").focus();
      more.remove();
    });
    parts.push(more);
  }
  return [...parts, ...leftOut(eventsLeftOut, "event")];
}

function eventOf(event) {
  const visible = event.attributes.filter(([key]) => !SOURCE_ATTRIBUTES.includes(key));
  const short = visible.map(([key, value]) => `${key}=${value}`).join("  ");
  return element(
    "li",
    {},
    element(
      "details",
      {},
      element(
        "summary",
        {},
        element("span", { class: "took", text: `+${duration(event.afterSeconds)}` }),
        foreign("bdi", event.name || "(no name)", { class: "event" }),
        foreign("span", short, { class: "short" }),
      ),
      element("dl", { class: "attributes" }, ...sorted(event.attributes).flatMap(pairOf)),
    ),
  );
}

/** Lists the attributes of the source location last. */
function sorted(attributes) {
  const isPlace = ([key]) => SOURCE_ATTRIBUTES.includes(key);
  return [...attributes.filter((pair) => !isPlace(pair)), ...attributes.filter(isPlace)];
}

function pairOf([key, value]) {
  return [element("dt", {}, foreign("bdi", key)), foreign("dd", value, room(value))];
}

/** Puts a long text into a scrollable box, which is focusable for the keyboard. */
function room(text) {
  const isLong = text.length > LONG_TEXT_CHARS || text.split("\n").length > 10;
  return isLong ? { tabindex: "0", "data-is-long": true } : {};
}

function leftOut(number, what) {
  if (!number) return [];
  return [element("p", { class: "note", text: `${count(number, `more ${what}`)} went beyond the limit of a span, and ${number === 1 ? "is" : "are"} nowhere.` })];
}
