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
