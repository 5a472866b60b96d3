// Profiles: where time and memory go, as a flame graph.

import { html, useEffect, useRef, useState } from "./preact.js";
import { measure } from "./format.js";
import { Card, Failure, Missing } from "./parts.js";
import { about, ask } from "./store.js";

const SECONDS = [5, 10, 30, 60];

export default function Profiles() {
  const [seconds, setSeconds] = useState(10);
  const [state, setState] = useState({});
  const [wanted, setWanted] = useState("");
  if (!about.value.features.profiling) {
    return html`<${Card} title="Profiles"><${Missing} what="Profiles are">
      <p>This version of the service has no profiler yet. Until then, a profile of the process comes from outside:</p>
      <pre tabindex="0"><code>perf record --call-graph fp -p $(pidof SERVICE) -- sleep 10 && perf report</code></pre>
      <p>The <a href="#/traces?view=slowest">slowest traces</a> tell which operation takes the time, and the <a href="#/system">system view</a> how much CPU and memory the process uses.</p>
    <//><//>`;
  }
  const take = async () => {
    setState({ isBusy: true });
    try {
      setState({ tree: await ask(`debug/pprof/profile?seconds=${seconds}&format=json`, { timeout: (seconds + 20) * 1000 }) });
    } catch (error) {
      setState({ error });
    }
  };
  return html`
    <div class="filters">
      <label>CPU profile of <select value=${seconds} onChange=${(event) => setSeconds(Number(event.target.value))}>${SECONDS.map((one) => html`<option key=${one} value=${one}>${one} s</option>`)}</select></label>
      <button type="button" class="primary" disabled=${state.isBusy} onClick=${take}>${state.isBusy ? "Sampling …" : "Take a profile"}</button>
      <input type="search" data-search placeholder="Search functions" aria-label="Search functions" value=${wanted} onInput=${(event) => setWanted(event.target.value)} />
    </div>
    ${state.error && html`<${Failure} what="The profile failed." error=${state.error} retry=${take} />`}
    ${state.tree && html`<${Card} title="Flame graph"><${Flames} tree=${state.tree} wanted=${wanted} /><//>`}`;
}

/** A flame graph of nodes with `name`, `value` and `children`. */
function Flames({ tree, wanted }) {
  const root = useRef();
  const drawn = useRef();
  const [said, setSaid] = useState("");
  useEffect(() => {
    let isGone = false;
    import("./flamegraph.js").then(({ flamegraph, select }) => {
      if (isGone) return;
      const text = (node) => `${node.data.name}: ${measure(node.data.value, "count")} samples`;
      drawn.current = flamegraph().width(root.current.clientWidth).cellHeight(20).minFrameSize(2).label(text).onHover((node) => setSaid(text(node)));
      select(root.current).datum(tree).call(drawn.current);
    });
    return () => {
      isGone = true;
      drawn.current?.destroy();
    };
  }, [tree]);
  useEffect(() => {
    if (wanted) drawn.current?.search(wanted);
    else drawn.current?.clear();
  }, [wanted]);
  return html`<p class="faint" role="status">${said || "Click a frame to zoom; click the lowest to go back."}</p><div ref=${root} class="flames"></div>`;
}
