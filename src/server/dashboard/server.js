// Fetches from the server, with a timeout and an error message for each kind of failure.

const API = new URL("../../api/observatory/traces", import.meta.url);
const TIMEOUT_MS = 10_000;
/** The polling interval in milliseconds; up to five times as long while the server is unreachable. */
const POLL_INTERVAL_MS = 2000;

/** The maximum number of traces in each list. */
export const LIMIT = 50;

/** An error response of the server; `status` is 0 if there was no response. */
export class Refusal extends Error {
  constructor(status, message, body = {}) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** Fetches all lists. */
export function lists() {
  return ask(`${API}?limit=${LIMIT}`);
}

/** Fetches the spans of a trace. */
export function trace(id) {
  return ask(`${API}/${id}`);
}

async function ask(url) {
  let answer;
  try {
    answer = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch (error) {
    const isLate = error.name === "TimeoutError";
    throw new Refusal(0, isLate ? "The server takes too long to answer." : "The server does not answer.");
  }
  const body = await answer.json().catch(() => undefined);
  if (!answer.ok) {
    throw new Refusal(answer.status, body?.error ?? `The server answers with status ${answer.status}.`, body);
  }
  if (body === undefined) throw new Refusal(answer.status, "The server's answer is not JSON.");
  return body;
}

/** Polls while the page is visible. */
export class Pulse {
  #beat;
  #timer;
  #failures = 0;
  #isBeating = false;
  isPaused = false;

  constructor(beat) {
    this.#beat = beat;
    document.addEventListener("visibilitychange", () => this.now());
  }

  /** Polls now, and then at the interval. */
  async now() {
    clearTimeout(this.#timer);
    if (this.#isBeating || this.isPaused || document.hidden) return;
    this.#isBeating = true;
    let isWell = false;
    try {
      isWell = await this.#beat();
    } finally {
      this.#isBeating = false;
      this.#failures = isWell ? 0 : this.#failures + 1;
      this.#timer = setTimeout(() => this.now(), Math.min(POLL_INTERVAL_MS * 1.5 ** this.#failures, 5 * POLL_INTERVAL_MS));
    }
  }

  set(isPaused) {
    this.isPaused = isPaused;
    this.now();
  }
}
