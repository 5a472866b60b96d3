// Unusual responses of the API: hostile names, inconsistent ids and clocks.

export const ID = "0123456789abcdef0123456789abcdef";
export const EVIL = `<img src=x onerror="document.title = 'taken'">`;
export const ARABIC = "مرحبا بالعالم";

const now = Date.now();
const hexadecimal = (number, digits) => number.toString(16).padStart(digits, "0");

function span(id, parent, after, milliseconds, more = {}) {
  return {
    spanId: hexadecimal(id, 16),
    parentId: parent ? hexadecimal(parent, 16) : null,
    parentIsRemote: false,
    name: `step ${id}`,
    kind: "internal",
    startedAt: now - 60_000 + after,
    durationSeconds: milliseconds / 1000,
    error: null,
    attributes: [],
    attributesLeftOut: 0,
    events: [],
    eventsLeftOut: 0,
    ...more,
  };
}

function trace(spans, more = {}) {
  return { traceId: ID, now, leftOut: 0, open: [], spans, ...more };
}

export const hostile = trace(
  [
    span(1, 0, 0, 800, {
      name: EVIL,
      kind: "server",
      attributes: [["html", EVIL], ["k".repeat(300), "a long key"], ["long", "x".repeat(9000)], [ARABIC, `${ARABIC} <b>`], ["\u202eturned", "\u202egnp.exe"]],
      events: [{ name: EVIL, afterSeconds: 0.1, attributes: [["html", EVIL]] }, { name: "after its end", afterSeconds: 9, attributes: [] }],
      eventsLeftOut: 7,
    }),
    span(2, 1, -30, 100, { name: ARABIC }),
    span(3, 1, 100, 0, { name: "no time at all" }),
    span(4, 1, 200, 300, { name: "very long ".repeat(80), kind: "client", error: EVIL }),
    span(5, 77, 300, 100, { name: "orphan" }),
    span(6, 78, 400, 100, { name: "from afar", kind: "consumer", parentIsRemote: true }),
    span(7, 8, 450, 10, { name: "circle" }),
    span(8, 7, 451, 10, { name: "circle" }),
    span(9, 9, 460, 5, { name: "its own parent" }),
  ],
  {
    leftOut: 12,
    url: "javascript:document.title='taken'",
    open: [{ name: "<b>open</b>", target: "a::b", traceId: ID, spanId: hexadecimal(90, 16), parentId: hexadecimal(1, 16), ageSeconds: 59.9 }],
  },
);

/** A thousand spans; the first forty are nested, and a fifth have the maximum number of events. */
export const large = trace(
  Array.from({ length: 1000 }, (_, index) => {
    const parent = index < 40 ? index : Math.floor(index / 3);
    const token = (_, count) => ({ name: "token", afterSeconds: count * 0.002, attributes: [["count", "1"]] });
    const events = index % 5 === 0 ? Array.from({ length: 128 }, token) : [];
    return span(index + 1, parent, index * 3, index === 0 ? 4080 : 40 + ((index * 37) % 500), { events });
  }),
);

function summary(number, more) {
  return { traceId: hexadecimal(number, 32), name: `GET /${number}`, startedAt: now - number * 1000, durationSeconds: number / 100, spans: number, failed: 0, leftOut: 0, isComplete: true, ...more };
}

const lists = { isEnabled: true, now, samplingRatio: 1, recent: [], slowest: [], failed: [], open: [] };

export const strange = {
  ...lists,
  recent: [
    summary(1, { traceId: ID, name: EVIL, spans: 10, failed: 1, url: "javascript:document.title='taken'" }),
    summary(2, { name: "long ".repeat(200) }),
    summary(3, { name: ARABIC }),
    summary(4, { name: "", durationSeconds: 0 }),
    summary(5, { durationSeconds: 99_999 }),
    // Listed in two parts.
    summary(5, {}),
  ],
};
export const off = { ...lists, isEnabled: false, disabledBy: "traces.enabled" };
export const notKept = { ...lists, isEnabled: false, disabledBy: "traces.live.enabled" };
export const none = { ...lists, samplingRatio: 0.1 };
