// The span that is selected: when and how long, why it failed, its attributes, its events.

import { element, foreign } from "./elements.js";
import { count, duration, iso, moment, share } from "./format.js";
import { ownTime } from "./tree.js";

/** Events that are drawn unasked. */
const FEW = 50;
/** Characters from which on a text has a room of its own. */
const LONG = 600;
/** What each event has and seldom says anything: behind the others. */
const PLACES = ["code.file.path", "code.module.name", "code.line.number", "target", "thread.id", "thread.name"];

export class Details {
  root = element("section", { class: "details", "aria-labelledby": "span-name", tabindex: "0" });
  #shown;

  /** Shows a span; one that is shown already and has not changed is left alone, wherever its reader is. */
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
  const list = element("ol", { class: "happened" }, ...events.slice(0, FEW).map(eventOf));
  const parts = [element("h4", { text: count(events.length, "event") }), list];
  if (events.length > FEW) {
    const more = element("button", { type: "button", text: `Show all ${count(events.length, "event")}` });
    more.addEventListener("click", () => {
      list.append(...events.slice(FEW).map(eventOf));
      list.children[FEW].querySelector("summary, .event").focus();
      more.remove();
    });
    parts.push(more);
  }
  return [...parts, ...leftOut(eventsLeftOut, "event")];
}

function eventOf(event) {
  const said = event.attributes.filter(([key]) => !PLACES.includes(key));
  const short = said.map(([key, value]) => `${key}=${value}`).join("  ");
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

/** What the code says of itself comes last. */
function sorted(attributes) {
  const isPlace = ([key]) => PLACES.includes(key);
  return [...attributes.filter((pair) => !isPlace(pair)), ...attributes.filter(isPlace)];
}

function pairOf([key, value]) {
  return [element("dt", {}, foreign("bdi", key)), foreign("dd", value, room(value))];
}

/** Long text scrolls in a room of its own, which the keyboard must reach, too. */
function room(text) {
  const isLong = text.length > LONG || text.split("\n").length > 10;
  return isLong ? { tabindex: "0", "data-is-long": true } : {};
}

function leftOut(number, what) {
  if (!number) return [];
  return [element("p", { class: "note", text: `${count(number, `more ${what}`)} went beyond the limit of a span, and ${number === 1 ? "is" : "are"} nowhere.` })];
}
