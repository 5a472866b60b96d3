// Makes elements. Text comes in as text only: from here, there is no way from a string to markup.

const SVG = "http://www.w3.org/2000/svg";

/** An element with these attributes (`text` is its text, `on…` a listener), around these nodes or texts. */
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

/** Text in which what is not seen is: characters that turn the direction of others, and those that control. */
export function plain(text) {
  return String(text).replace(/[\u202a-\u202e\u2066-\u2069]|(?![\t\n])\p{Cc}/gu, "\ufffd");
}

/** A drawing of one path that takes the size of its place. */
export function path(width, height) {
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("aria-hidden", "true");
  const drawn = document.createElementNS(SVG, "path");
  drawing.append(drawn);
  return { drawing, drawn };
}

/** Text from elsewhere, in a direction of its own: what is right to left does not turn what stands around it. */
export function foreign(name, text, attributes = {}) {
  return element(name, { dir: "auto", ...attributes, text });
}

/** Writes only what differs: what is the same costs no layout. */
export function write(node, text) {
  const shown = plain(text);
  if (node.textContent !== shown) node.textContent = shown;
}

/** An address that a link may have: of http or https, whatever the configuration says. */
export function outside(url) {
  if (typeof url !== "string" || !URL.canParse(url)) return undefined;
  const parsed = new URL(url);
  return ["http:", "https:"].includes(parsed.protocol) ? parsed : undefined;
}

/** A link to a trace in the tracing UI, if there is an address. */
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
