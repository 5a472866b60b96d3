// Formats times and numbers for readers.

const UNITS = [
  [1e9, "ns", "nanoseconds"],
  [1e6, "µs", "microseconds"],
  [1e3, "ms", "milliseconds"],
  [1, "s", "seconds"],
];

/** Formats a duration in seconds with three significant digits: `340 ms`, `1.24 s`, `2 min 5 s`. */
export function duration(seconds, isSpoken = false) {
  const unit = (short, long) => (isSpoken ? long : short);
  if (!(seconds > 0)) return `0 ${unit("s", "seconds")}`;
  for (const [factor, short, long] of UNITS) {
    const value = Number((seconds * factor).toPrecision(3));
    if (value < (factor === 1 ? 60 : 1000)) return `${value} ${unit(short, long)}`;
  }
  const whole = Math.round(seconds);
  const [days, hours] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24];
  const [minutes, rest] = [Math.floor(whole / 60) % 60, whole % 60];
  const two = (great, greatUnit, small, smallUnit) =>
    small ? `${great} ${greatUnit} ${small} ${smallUnit}` : `${great} ${greatUnit}`;
  if (days) return two(days, unit("d", "days"), hours, unit("h", "hours"));
  if (hours) return two(hours, unit("h", "hours"), minutes, unit("min", "minutes"));
  return two(minutes, unit("min", "minutes"), rest, unit("s", "seconds"));
}

/** Formats an age: `just now`, `12 s ago`. A time in the future counts as now, since clocks differ. */
export function ago(milliseconds) {
  const seconds = Math.floor(milliseconds / 1000);
  return seconds < 1 ? "just now" : `${duration(seconds)} ago`;
}

/** Formats a time in the reader's time zone, to the millisecond; includes the date unless it is today. */
export function moment(milliseconds) {
  const date = new Date(milliseconds);
  const time = `${timeOfDay(milliseconds)}.${String(date.getMilliseconds()).padStart(3, "0")}`;
  const isToday = date.toDateString() === new Date().toDateString();
  return isToday ? time : `${date.toLocaleDateString()} ${time}`;
}

/** Formats the time of day. */
export function timeOfDay(milliseconds) {
  return new Date(milliseconds).toLocaleTimeString(undefined, { hour12: false });
}

/** Formats a time for the `datetime` attribute; returns nothing for an invalid time. */
export function iso(milliseconds) {
  const date = new Date(milliseconds);
  return Number.isNaN(date.valueOf()) ? "" : date.toISOString();
}

/** Formats a count with its noun: `1 span`, `1,000 spans`. */
export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** Formats a ratio: `34 %`, `0.2 %`. */
export function share(part) {
  const percent = part * 100;
  if (percent > 0 && percent < 0.1) return "< 0.1 %";
  return `${percent.toFixed(percent > 0 && percent < 1 ? 1 : 0)} %`;
}

/** Returns the ticks of an axis of this length: round numbers, in about the given number of intervals. */
export function ticks(length, parts) {
  const rough = length / parts;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough * 0.8) ?? rough;
  const marks = [];
  for (let index = 0; index * step <= length * 1.0001; index += 1) marks.push(index * step);
  return marks;
}

const SI = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];
const BINARY = [
  [2 ** 40, "TiB"],
  [2 ** 30, "GiB"],
  [2 ** 20, "MiB"],
  [2 ** 10, "KiB"],
];

/** Three significant figures, without an exponent: `0.0123`, `1.23`, `123`. */
function figures(value) {
  const rounded = Number(value.toPrecision(3));
  return Math.abs(rounded) < 1e-6 && rounded !== 0 ? rounded.toExponential(1) : rounded.toLocaleString("en", { maximumSignificantDigits: 3 });
}

function scaled(value, table, unit = "") {
  const found = table.find(([factor]) => Math.abs(value) >= factor * 0.9995);
  return found ? `${figures(value / found[0])} ${found[1]}${unit}` : `${figures(value)}${unit ? ` ${unit}` : ""}`;
}

const FORMATS = {
  count: (value) => scaled(value, SI).trim(),
  per_second: (value) => `${scaled(value, SI).trim()}/s`,
  tokens_per_second: (value) => `${scaled(value, SI).trim()} tok/s`,
  seconds: (value) => (value < 0 ? `−${duration(-value)}` : duration(value)),
  ratio: (value) => `${figures(value * 100)} %`,
  bytes: (value) => scaled(value, BINARY, Math.abs(value) < 1023.5 ? "B" : ""),
  bytes_per_second: (value) => `${scaled(value, BINARY, Math.abs(value) < 1023.5 ? "B" : "")}/s`,
  cores: (value) => figures(value),
};

/** Formats a value for readers: `1.2 k/s`, `340 ms`, `96 %`. */
export function measure(value, unit) {
  if (value === undefined || value === null || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  return (FORMATS[unit] ?? FORMATS.count)(value);
}

/** Formats a value exactly, for tooltips and the clipboard. */
export function exact(value) {
  return value === undefined || value === null ? "no value" : String(value);
}

/** Writes the time since a moment, in milliseconds, in words: `4 min`. */
export function since(milliseconds, now) {
  const seconds = Math.max(0, Math.round((now - milliseconds) / 1000));
  if (seconds < 90) return `${seconds} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** Replaces labels in double braces. */
export function legend(template, labels) {
  const text = template.replaceAll(/\{\{(\w+)\}\}/g, (_, name) => labels[name] ?? "");
  return text.trim() || seriesName(labels);
}

/** Writes a series as in PromQL. */
export function seriesName({ __name__: name = "", ...labels }) {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  return pairs.length > 0 || !name ? `${name}{${pairs.join(", ")}}` : name;
}
