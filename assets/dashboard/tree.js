// Builds a tree on one time axis from the spans of a trace. Handles missing parents, cycles, and differing clocks.

/** The time in milliseconds by which a child may start before its parent because of floating-point rounding. */
const ROUNDING_MS = 0.002;

/** Returns the spans in drawing order, and the start and the length of the time axis. */
export function treeOf(answer) {
  const nodes = nodesOf(answer);
  const byId = new Map();
  for (const node of nodes) if (!byId.has(node.id)) byId.set(node.id, node);
  for (const node of nodes) {
    const parent = byId.get(node.parentId);
    if (parent && parent !== node) {
      node.parent = parent;
      parent.children.push(node);
    }
  }
  const order = orderOf(nodes);
  let [begin, end] = [Infinity, -Infinity];
  for (const node of nodes) {
    begin = Math.min(begin, node.start);
    end = Math.max(end, node.start + node.duration);
    node.isOrphan = node.parentId !== null && node.parent === undefined;
    node.skew = skewOf(node);
  }
  return {
    order,
    begin,
    // A trace with length zero is drawn with the length of a microsecond.
    length: Math.max(end - begin, 0.001),
    root: order.find((node) => node.parentId === null || node.parentIsRemote) ?? order[0],
    leftOut: answer.leftOut ?? 0,
    failed: nodes.filter((node) => node.error !== null).length,
    open: nodes.filter((node) => node.isOpen).length,
    ended: nodes.filter((node) => !node.isOpen).length,
  };
}

/** Returns the visible nodes, given the collapsed ones. */
export function shown(tree, closed) {
  const rows = [];
  for (let index = 0; index < tree.order.length; index += 1) {
    const node = tree.order[index];
    rows.push(node);
    if (closed.has(node.id)) index += node.below;
  }
  return rows;
}

/** Returns the time in milliseconds during which a span ran and none of its children did. */
export function ownTime(node) {
  const end = node.start + node.duration;
  let [own, at] = [0, node.start];
  for (const child of node.children) {
    const from = Math.min(Math.max(child.start, node.start), end);
    own += Math.max(0, from - at);
    at = Math.max(at, Math.min(child.start + child.duration, end));
  }
  return own + Math.max(0, end - at);
}

/** Returns the span to select first: the innermost failed span, or else the root. */
export function firstToSee(tree) {
  const innermost = (node) => node.error !== null && !node.children.some((child) => child.error !== null);
  return tree.order.find(innermost) ?? tree.root;
}

/** Returns the milliseconds by which a span started before its parent. The start of an open span is less exact. */
function skewOf({ start, parent, isOpen }) {
  if (!parent || isOpen || parent.isOpen) return 0;
  const skew = parent.start - start;
  return skew > ROUNDING_MS ? skew : 0;
}

function nodesOf({ spans, open = [], now }) {
  const ended = new Set(spans.map((span) => span.spanId));
  const nodes = spans.map((span) => ({
    ...span,
    id: span.spanId,
    start: span.startedAt,
    duration: span.durationSeconds * 1000,
    isOpen: false,
  }));
  for (const span of open) {
    // The span ended between the two reads of the server.
    if (ended.has(span.spanId)) continue;
    nodes.push({
      id: span.spanId,
      parentId: span.parentId,
      parentIsRemote: false,
      name: span.name,
      kind: "internal",
      start: now - span.ageSeconds * 1000,
      duration: span.ageSeconds * 1000,
      error: null,
      attributes: [["target", span.target]],
      events: [],
      isOpen: true,
    });
  }
  for (const node of nodes) Object.assign(node, { children: [], parent: undefined, depth: 0, below: 0 });
  return nodes.sort((one, other) => one.start - other.start);
}

/** Traverses depth first, without recursion, since a trace can be as deep as its number of spans. */
function orderOf(nodes) {
  const order = [];
  const seen = new Set();
  const walk = (root) => {
    const waiting = [root];
    while (waiting.length > 0) {
      const node = waiting.pop();
      seen.add(node);
      order.push(node);
      node.depth = node.parent ? node.parent.depth + 1 : 0;
      for (let index = node.children.length - 1; index >= 0; index -= 1) waiting.push(node.children[index]);
    }
  };
  for (const node of nodes) if (!node.parent) walk(node);
  // In a cycle of parents, the earliest span becomes the root.
  for (const node of nodes) {
    if (seen.has(node)) continue;
    const circle = node.parent;
    circle.children.splice(circle.children.indexOf(node), 1);
    node.parent = undefined;
    walk(node);
  }
  for (let index = order.length - 1; index >= 0; index -= 1) {
    const node = order[index];
    if (node.parent) node.parent.below += node.below + 1;
  }
  return order;
}
