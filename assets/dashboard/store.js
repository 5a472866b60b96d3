// The state that all views share, and the only place that asks the server: one batch of queries per poll.

import { batch, computed, signal, useEffect, useMemo } from "./preact.js";

/** The address under which the service is mounted; the assets are three levels below it. */
export const BASE = new URL("../../../", import.meta.url);
const TIMEOUT_MS = 15_000;
const TOKEN_KEY = "observatory.token";
const RETRY_MS = 5_000;
/** The greatest number of points of a line. */
const MAX_POINTS = 240;

export const RANGES = [
  [60, "1 min"],
  [300, "5 min"],
  [900, "15 min"],
  [3600, "1 h"],
  [10_800, "3 h"],
  [21_600, "6 h"],
];

/** The facts about the service; undefined until the first answer. */
export const about = signal();
export const token = signal(sessionStorage.getItem(TOKEN_KEY) ?? "");
/**
 * The length of the shown range in seconds, and its end in seconds since the epoch; without an end, it ends now. Until the
 * reader chooses a range, `isAuto` makes it as long as the process is old.
 */
export const range = signal({ seconds: 900, isAuto: true });
export const isLive = signal(true);
/** The state of the connection: `loading`, `ok`, `lost` or `refused`, with the time of the last answer. */
export const connection = signal({ state: "loading" });
/** The counts of alerts, and the firing ones. */
export const alerts = signal();
/** The answer of the health endpoint; null if it is refused. */
export const health = signal();
/** The time of the server in milliseconds minus the time of the browser. */
let clockOffset = 0;

export const now = () => Date.now() + clockOffset;

/** The distance of two points in seconds. */
export const step = computed(() => {
  const tick = about.value?.tickSeconds ?? 10;
  const rough = Math.max(range.value.seconds / MAX_POINTS, tick);
  const nice = [0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600].find((seconds) => seconds >= rough) ?? Math.ceil(rough);
  return nice;
});

/** The window of rates: at least four samples, so that a late sample leaves no gap. */
export const rateWindow = computed(() => `${Math.ceil(Math.max(step.value, 4 * (about.value?.tickSeconds ?? 10), 30))}s`);

/** An answer that is an error; `status` is 0 without an answer. */
export class Refusal extends Error {
  constructor(status, message, body = {}) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

export function setToken(value) {
  sessionStorage.setItem(TOKEN_KEY, value);
  token.value = value;
  pollNow();
}

/** Adds the token, which a browser sends only to this server, because the address is below BASE. */
export function authorized(headers = {}) {
  return token.value ? { ...headers, authorization: `Bearer ${token.value}` } : headers;
}

/** Asks the server for JSON below the mount point. `body` makes it a POST. */
export async function ask(path, { method, body, timeout = TIMEOUT_MS, headers = {} } = {}) {
  let answer;
  try {
    answer = await fetch(new URL(path, BASE), {
      method: method ?? (body === undefined ? "GET" : "POST"),
      cache: "no-store",
      headers: authorized(body === undefined ? headers : { ...headers, "content-type": "application/json" }),
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(timeout),
    });
  } catch (error) {
    throw new Refusal(0, error.name === "TimeoutError" ? "The server takes too long to answer." : "The server does not answer.");
  }
  const text = await answer.text();
  let parsed;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = undefined;
  }
  // The health report has status 503 when a member is unhealthy.
  const isReport = parsed !== undefined && path === about.value?.healthPath.slice(1);
  if (!answer.ok && !isReport) throw new Refusal(answer.status, parsed?.error ?? `The server answers with status ${answer.status}.`, parsed);
  if (parsed === undefined) throw new Refusal(answer.status, "The server's answer is not JSON.");
  return parsed;
}

/** Replaces the placeholders of a query of the panel table. */
export function fill(expr, { selection = "", offset = "" } = {}) {
  return expr
    .replaceAll("$P", about.value.prefix)
    .replaceAll("$W", rateWindow.value)
    .replaceAll("$O", offset)
    .replaceAll("$S", selection);
}

export const panelsOf = (view) => about.value.panels.filter((panel) => panel.view === view);
export const panelOf = (id) => about.value.panels.find((panel) => panel.id === id);

/** A string of PromQL. */
export const quoted = (text) => JSON.stringify(text);

// ---- The poll

/** The ranges before each zoom. */
const zooms = [];
/** The registered questions: for each owner, its queries and the signal of its answers. */
const owners = new Set();
/** Functions that run with each poll, for data other than series. */
const others = new Set();
let timer;
let isPolling = false;
let isWanted = false;
let failures = 0;

/**
 * Evaluates queries with every poll. A query has an `expr`, and is over the shown range unless `isInstant` is set.
 * Returns `{ results, isLoading }`, with a result for each query: `{ data }` or `{ error }`.
 */
export function useQueries(queries) {
  const key = JSON.stringify(queries);
  const owner = useMemo(() => ({ answer: signal({ results: [], isLoading: true }) }), []);
  useEffect(() => {
    owner.queries = queries;
    owners.add(owner);
    // The numbers of another selection must not stand under the new heading.
    if (owner.key !== undefined && owner.key !== key) owner.answer.value = { ...owner.answer.value, isStale: true };
    owner.key = key;
    pollNow();
    return () => owners.delete(owner);
  }, [key]);
  return owner.answer.value;
}

/** Asks for an address with every poll, at most once per `interval` milliseconds. Returns `{ data, error, isLoading, reload }`. */
export function useFetch(path, interval = 0) {
  const state = useMemo(() => {
    const answer = signal({ isLoading: true });
    const made = { answer, at: 0, path };
    made.load = async () => {
      if (!made.path) return;
      made.at = Date.now();
      const asked = made.path;
      try {
        const data = await ask(asked);
        if (made.path === asked) answer.value = { data };
      } catch (error) {
        if (made.path === asked) answer.value = { ...answer.value, isLoading: false, error };
      }
    };
    made.poll = () => (Date.now() - made.at >= interval ? made.load() : undefined);
    return made;
  }, []);
  useEffect(() => {
    if (state.path !== path) state.answer.value = { isLoading: true };
    state.path = path;
    state.load();
    others.add(state.poll);
    return () => others.delete(state.poll);
  }, [path]);
  return { ...state.answer.value, reload: state.load };
}

/** Polls soon, once for all components that have just appeared. */
export function pollNow() {
  isWanted = true;
  clearTimeout(timer);
  timer = setTimeout(poll, 5);
}

async function poll() {
  clearTimeout(timer);
  if (isPolling || (!isWanted && (document.hidden || !isLive.value))) return;
  isPolling = true;
  isWanted = false;
  try {
    await everything();
    failures = 0;
    connection.value = { state: "ok", at: Date.now() };
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    failures += 1;
    const isRefused = [401, 403].includes(error.status);
    connection.value = { ...connection.value, state: isRefused ? "refused" : "lost", error: error.message };
  } finally {
    isPolling = false;
    schedule();
  }
}

function schedule() {
  if (isWanted) {
    pollNow();
    return;
  }
  const tick = (about.value?.tickSeconds ?? 1) * 1000;
  // A short tick is meant to be seen soon.
  const pause = failures > 0 ? Math.min(1000 * 1.5 ** failures, RETRY_MS) : Math.min(Math.max(tick <= 2000 ? tick / 2 : tick, 500), 10_000);
  timer = setTimeout(poll, pause);
}

async function everything() {
  if (!about.value || failures > 0) {
    const facts = await ask("api/observatory/dashboard");
    const isUpdated = about.value && about.value.assets !== facts.assets;
    about.value = { ...facts, isUpdated, startedAt: Date.now() / 1000 - facts.uptimeSeconds };
  }
  if (range.value.isAuto) {
    const age = Date.now() / 1000 - about.value.startedAt;
    const [seconds] = RANGES.find(([length]) => length >= Math.min(age, 900));
    if (seconds !== range.value.seconds) range.value = { seconds, isAuto: true };
  }
  const work = [panels(), report(), ...[...others].map((poll) => poll())];
  await Promise.all(work);
}

async function report() {
  try {
    health.value = await ask(about.value.healthPath.slice(1));
  } catch (error) {
    // A report that is refused must not hide the charts.
    if (!(error instanceof Refusal) || error.status === 0) throw error;
    health.value = null;
  }
}

async function panels() {
  if (!about.value.features.alerting) return;
  const asked = [...owners].map((owner) => ({ owner, key: owner.key, queries: owner.queries }));
  const { seconds, end } = range.value;
  const queries = asked.flatMap(({ queries }, at) =>
    queries.map(({ expr, isInstant, seconds: own, step: ownStep }, index) => ({
      id: `${at}.${index}`,
      query: expr,
      ...(isInstant ? {} : { range: own ?? seconds, step: ownStep ?? step.value }),
    })),
  );
  const { data } = await ask("api/observatory/panels", { body: { queries, ...(end ? { end } : {}) } });
  const found = new Map(data.results.map((result) => [result.id, result]));
  clockOffset = data.now - Date.now();
  batch(() => {
    alerts.value = data.alerts;
    asked.forEach(({ owner, key, queries }, at) => {
      if (owner.key !== key) return;
      const results = queries.map((_, index) => {
        const result = found.get(`${at}.${index}`);
        return result?.status === "success" ? { data: result.data, warnings: result.warnings } : { error: result?.error ?? "no answer" };
      });
      owner.answer.value = { results, isLoading: false, end: end ?? data.now / 1000, seconds, step: step.value };
    });
  });
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && isLive.value) pollNow();
});

export function setLive(value) {
  isLive.value = value;
  if (value) {
    if (range.value.end) range.value = zooms[0] ?? { seconds: range.value.seconds };
    zooms.length = 0;
    pollNow();
  }
}

// ---- Zoom

/** Shows a part of the range on every chart, and pauses. */
export function zoom(start, end) {
  zooms.push(range.value);
  range.value = { seconds: Math.max(end - start, 5), end };
  isLive.value = false;
  pollNow();
}

export function zoomOut() {
  const before = zooms.pop();
  if (!before) return;
  range.value = before;
  if (!before.end) isLive.value = true;
  pollNow();
}

export function setRange(seconds) {
  zooms.length = 0;
  range.value = { seconds };
  isLive.value = true;
  pollNow();
}

// ---- The address

/** The view, its arguments, and its parameters: `#/models/gpt-4o?engine=vllm`. */
export const route = signal(parse());

function parse() {
  const old = location.hash.toLowerCase().match(/^#([0-9a-f]{32}(?:\/[0-9a-f]{16})?)$/);
  if (old) return { view: "traces", args: old[1].split("/"), params: new URLSearchParams() };
  if (!location.hash && location.search === "?view=traces") return { view: "traces", args: [], params: new URLSearchParams() };
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [view, ...args] = path.split("/").filter(Boolean).map(decode);
  return { view: view ?? "overview", args, params: new URLSearchParams(query) };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

addEventListener("hashchange", () => (route.value = parse()));
addEventListener("popstate", () => (route.value = parse()));

/** Returns the address of a view. */
export function link(view, args = [], params = {}) {
  const query = new URLSearchParams(Object.entries(params).filter(([, value]) => value !== undefined && value !== "")).toString();
  return `#/${[view, ...args].map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

/** Goes to an address. With `isReplaced`, the browser's back button skips the present address. */
export function go(address, isReplaced = false) {
  if (isReplaced) {
    history.replaceState(null, "", address);
    route.value = parse();
  } else location.hash = address;
}

// ---- The colours

const THEME_KEY = "observatory.theme";

/** `light`, `dark`, or empty for the system's choice. */
export const theme = signal(stored());

function stored() {
  const value = localStorage.getItem(THEME_KEY) ?? "";
  if (value) document.documentElement.dataset.theme = value;
  return value;
}

export function setTheme(value) {
  localStorage.setItem(THEME_KEY, value);
  document.documentElement.dataset.theme = value;
  theme.value = value;
}
