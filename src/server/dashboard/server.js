// Asks the server: with a deadline, and with words for each way in which it can fail.

const API = new URL("../../api/observatory/traces", import.meta.url);
const WITHIN = 10_000;
/** Time between two looks, in milliseconds; up to five times that while the server is gone. */
const PAUSE = 2000;

/** Traces of each list. */
export const LIMIT = 50;

/** What the server said instead of an answer; `status` is 0 where it said nothing. */
export class Refusal extends Error {
  constructor(status, message, body = {}) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** Every list. */
export function lists() {
  return ask(`${API}?limit=${LIMIT}`);
}

/** The spans of a trace. */
export function trace(id) {
  return ask(`${API}/${id}`);
}

async function ask(url) {
  let answer;
  try {
    answer = await fetch(url, { cache: "no-store", signal: AbortSignal.timeout(WITHIN) });
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

/** Asks again and again, while somebody looks. */
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

  /** At once, and from then on every few seconds. */
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
      this.#timer = setTimeout(() => this.now(), Math.min(PAUSE * 1.5 ** this.#failures, 5 * PAUSE));
    }
  }

  set(isPaused) {
    this.isPaused = isPaused;
    this.now();
  }
}
