// Every query of the page and of the dashboards for Grafana is read by Prometheus's own grammar for editors.

import assert from "node:assert/strict";
import { parser } from "@prometheus-io/lezer-promql";
import { failures } from "./driver.js";

export async function queries({ page: base }) {
  const read = async (path) => (await fetch(new URL(path, base))).json();
  const about = await read("api/observatory/dashboard");
  const fill = (expr, offset, selection) => expr.replaceAll("$P", about.prefix).replaceAll("$W", "1m").replaceAll("$O", offset).replaceAll("$S", selection);
  const found = about.panels.flatMap((panel) => panel.queries.flatMap(({ expr }) => [fill(expr, "", ""), fill(expr, " offset 1h", 'model_id="a",engine="b"')]));
  for (const view of ["overview", "models", "alerts", "system"]) {
    const { panels } = await read(`api/observatory/export/grafana/${view}`);
    found.push(...panels.flatMap((panel) => panel.targets.map(({ expr }) => expr.replaceAll("$__rate_interval", "1m").replaceAll("$model", ".*"))));
  }
  for (const { conditions } of await read("api/observatory/alerts/conditions")) found.push(...conditions.flatMap(({ value, threshold }) => [value, threshold]));
  try {
    assert.ok(found.length > 150, `${found.length} queries`);
    for (const text of found) assert.ok(!hasError(text), text);
    assert.ok(hasError("sum(rate(x[1m])"), "an error is found");
    console.log(`ok       ${found.length} queries parse with lezer-promql`);
  } catch (error) {
    failures.push("queries");
    console.log(`FAILED   queries\n${error.stack}`);
  }
}

function hasError(text) {
  let isWrong = false;
  parser.parse(text).iterate({ enter: (node) => void (isWrong ||= node.type.isError) });
  return isWrong;
}
