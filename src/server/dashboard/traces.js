// The page of live traces: polls the server, opens and closes traces, and keeps the URL up to date.

import { write } from "./elements.js";
import { count, timeOfDay } from "./format.js";
import { Lists } from "./lists.js";
import * as server from "./server.js";
import { TracePane } from "./trace.js";

const state = document.getElementById("state");
const trouble = document.getElementById("trouble");
const newer = document.getElementById("newer");
const pause = document.getElementById("pause");

const lists = new Lists((id) => (location.hash = id));
const pane = new TracePane(close, (id, span) => history.replaceState(null, "", `#${id}/${span}`));
const pulse = new server.Pulse(beat);

/** The time of the last response. */
let updatedAt;

/** Returns the trace and the span that the URL names. */
function address() {
  const found = location.hash.toLowerCase().match(/^#([0-9a-f]{32})(?:\/([0-9a-f]{16}))?$/);
  return found ? { id: found[1], span: found[2] } : {};
}

async function beat() {
  try {
    const answer = await server.lists();
    const held = lists.take(answer, pane.id !== undefined);
    newer.hidden = held === 0;
    if (held > 0) write(newer, `Show ${count(held, "newer one")}`);
    await follow();
    updatedAt = Date.now();
    trouble.hidden = true;
  } catch (error) {
    if (!(error instanceof server.Refusal)) throw error;
    const next = updatedAt ? ` What is shown is of ${timeOfDay(updatedAt)}.` : "";
    write(trouble, `${error.message}${next} The page goes on trying.`);
    trouble.hidden = false;
    say("Not connected");
    return false;
  }
  say();
  return true;
}

/** Fetches the shown trace again if it has more spans than are shown. */
async function follow() {
  const { id, ended, isUnderWay } = pane;
  if (id === undefined) return;
  const spans = lists.summary(id)?.spans;
  if (isUnderWay || (spans !== undefined && spans > ended)) await read(id);
}

async function read(id) {
  try {
    const answer = await server.trace(id);
    if (pane.id === id) pane.show(answer, address().span);
  } catch (error) {
    if (!(error instanceof server.Refusal)) throw error;
    if (pane.id === id) pane.miss(error);
  }
}

function say(what) {
  document.body.dataset.state = what ? "trouble" : pulse.isPaused ? "paused" : pane.id ? "held" : "live";
  const words = { paused: "Paused", held: "Lists wait while you read", live: "Live" };
  write(state, what ?? words[document.body.dataset.state]);
}

function route() {
  const { id, span } = address();
  const before = pane.id;
  if (id === before) return pane.pick(span);
  document.body.classList.toggle("reading", id !== undefined);
  lists.select(id);
  if (id !== undefined) {
    pane.open(id);
    read(id);
  } else {
    pane.hide();
    newer.hidden = true;
    lists.release();
    lists.select(before);
    lists.focus();
    lists.select(undefined);
  }
  say();
}

function close() {
  if (location.hash) history.pushState(null, "", location.pathname + location.search);
  route();
}

addEventListener("hashchange", route);
addEventListener("popstate", route);
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && pane.id !== undefined && !event.defaultPrevented) close();
});
newer.addEventListener("click", () => {
  newer.hidden = true;
  lists.release();
});
pause.addEventListener("click", () => {
  pulse.set(!pulse.isPaused);
  pause.setAttribute("aria-pressed", String(pulse.isPaused));
  write(pause, pulse.isPaused ? "Go on" : "Pause");
  say();
});
setInterval(() => {
  if (!document.hidden) lists.tick();
}, 1000);

route();
pulse.now();
