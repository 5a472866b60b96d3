// Creates elements. Text is only ever set as text content; no function here converts a string to markup.

const SVG = "http://www.w3.org/2000/svg";

/** Creates an element with attributes (`text` is its text content, `on…` a listener) and children. */
export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "text") made.textContent = plain(value);
    else if (typeof value === "function") made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== undefined && child !== null));
  return made;
}

/** Makes invisible characters visible: controls, and characters that change the direction of text. */
export function plain(text) {
  return String(text).replace(/[\u202a-\u202e\u2066-\u2069]|(?![\t\n])\p{Cc}/gu, "\ufffd");
}

/** Creates an SVG with a single path that fills its container. */
export function path(width, height) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("aria-hidden", "true");
  const drawn = document.createElementNS(SVG, "path");
  drawing.append(drawn);
  return { drawing, drawn };
}

/** Isolates the direction of untrusted text, so that right-to-left text does not reorder the text around it. */
export function foreign(name, text, attributes = {}) {
  return element(name, { dir: "auto", ...attributes, text });
}

/** Sets a property only if it changes, which avoids a layout. */
export function write(node, text) {
  const shown = plain(text);
  if (node.textContent !== shown) node.textContent = shown;
}

/** Returns an address if it is http or https, whatever the configuration contains. */
export function outside(url) {
  if (typeof url !== "string" || !URL.canParse(url)) return undefined;
  const parsed = new URL(url);
  return ["http:", "https:"].includes(parsed.protocol) ? parsed : undefined;
}

/** Creates a link to the trace in the trace viewer, if there is an address. */
export function linkOutside(url, attributes = {}, text = undefined) {
  const address = outside(url);
  if (!address) return undefined;
  return element("a", {
    href: address.href,
    target: "_blank",
    rel: "noopener noreferrer",
    title: `Open in ${address.host}`,
    text: text ?? `Open in ${address.host} ↗`,
    ...attributes,
  });
}
