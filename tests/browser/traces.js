// The page of live traces in a real browser, of a router with traffic and faults: `node traces.js PATH/TO/llm_router`.
// CHROMIUM names the browser; SHOTS names the folder for screenshots.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";
import * as answers from "./answers.js";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const WIDE = { width: 1280, height: 800 };
const PREFIX = "/ops/observatory";
const PHONE = { width: 360, height: 740 };

const router = spawn(process.argv[2], ["--listen", "127.0.0.1:0", "--monitor", "127.0.0.1:0", "--fault-rate", "0.05", "--disconnect-rate", "0.03"], {
  env: { OBSERVATORY_ALLOWED_HOSTS: "proxy.example", OBSERVATORY_TRACE_URL: "http://jaeger.example/trace/{trace_id}" },
  stdio: ["ignore", "ignore", "pipe"],
});
process.on("exit", () => router.kill("SIGKILL"));
const PAGE = await pageOf(router);
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
});
const failures = [];

/** Returns the address of the traces, which the router prints. */
function pageOf({ stderr }) {
  return new Promise((resolve, reject) => {
    let said = "";
    stderr.on("data", (data) => {
      said += data;
      const found = said.match(/^traces +(\S+)$/m);
      if (found) resolve(found[1]);
    });
    stderr.on("end", () => reject(new Error(`the router has ended: ${said}`)));
  });
}

/** Opens the page, runs the actions, and checks the rules that hold on every page. */
async function check(name, { viewport = WIDE, colorScheme = "light", url = PAGE, lists, trace, hash = "", mayFail = false }, act) {
  const context = await browser.newContext({ viewport, colorScheme, reducedMotion: "reduce" });
  const page = await context.newPage();
  const complaints = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type()) && !(mayFail && message.text().startsWith("Failed to load"))) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  await page.addInitScript(() => addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective}`)));
  const json = (body, status = 200) => (route) => route.fulfill({ status, contentType: "application/json", body: JSON.stringify(body) });
  if (lists) await page.route("**/api/observatory/traces?*", json(lists));
  if (trace) await page.route("**/api/observatory/traces/*", json(trace));
  try {
    if (url !== PAGE) await page.route(`${new URL(url).origin}/**`, proxy);
    await page.goto(url + hash);
    await page.locator("#rows li:visible, #nothing:visible, #trace h2:visible").first().waitFor();
    await act(page);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(overflow, 0, "the page scrolls sideways");
    assert.equal(await page.locator("img, #panel b, #trace b").count(), 0, "text has become markup");
    assert.ok((await page.title()).startsWith("Live traces"), "a script of a name has run");
    const labels = await page.locator(".scale span:not(:empty):visible").evaluateAll((all) => all.map((label) => label.getBoundingClientRect()).map(({ left, right }) => [left, right]));
    assert.ok(labels.every(([left], at) => at === 0 || left >= labels[at - 1][1] - 1), `labels of the axis: ${labels}`);
    const links = await page.locator("a[href]").evaluateAll((all) => all.map((link) => new URL(link.href).protocol));
    assert.ok(links.every((protocol) => protocol === "http:" || protocol === "https:"), `links: ${links}`);
    if (process.env.SHOTS) await page.screenshot({ path: `${process.env.SHOTS}/${name.replaceAll(/\W+/g, "-")}.png` });
    await rules(page);
    assert.deepEqual(complaints, []);
    console.log(`ok       ${name}`);
  } catch (error) {
    failures.push(name);
    console.log(`FAILED   ${name}\n${error.stack}\n${complaints.join("\n")}`);
  }
  await context.close();
}

/** Checks the automatable rules of WCAG 2.2 AA, including contrast. Injected by the debugger, since the policy forbids scripts. */
async function rules(page) {
  await page.evaluate(await readFile(AXE, "utf8"));
  const found = await page.evaluate(() => axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  const said = found.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target} ${node.failureSummary}`));
  assert.deepEqual(said, []);
}

/** A proxy that strips its prefix; requests without the prefix are not found. */
async function proxy(route) {
  const url = new URL(route.request().url());
  const { origin } = new URL(PAGE);
  if (!url.pathname.startsWith(PREFIX)) return route.fulfill({ status: 404 });
  return route.fulfill({ response: await route.fetch({ url: origin + url.pathname.slice(PREFIX.length) + url.search }) });
}

const text = (page, selector) => page.locator(selector).first().innerText();
const focused = (page) => page.evaluate(() => document.activeElement.getAttribute("role") ?? document.activeElement.className);

for (const colorScheme of ["light", "dark"]) {
  await check(`lists fill and a click shows the waterfall, ${colorScheme}`, { colorScheme }, async (page) => {
    await page.locator("#rows li").nth(5).waitFor({ timeout: 30_000 });
    assert.match(await text(page, "#rows .facts"), /^began .* · \d+ spans?/);
    await page.click("#tab-failed");
    await page.locator("#rows li.failed").first().waitFor({ timeout: 30_000 });
    await page.locator("#rows li.failed a.row").first().click();
    await page.locator("#trace [role=treeitem]").nth(1).waitFor();
    assert.match(page.url(), /#[0-9a-f]{32}/);
    assert.match(await text(page, "#trace .summary"), /failed/);
    assert.match(await text(page, ".details .error"), /^Failed/);
    assert.match(await text(page, ".details .attributes"), /model_id/);
    const id = await text(page, ".identity code");
    assert.equal(await page.locator("a.elsewhere").getAttribute("href"), `http://jaeger.example/trace/${id}`);
    assert.equal(await page.locator("#rows a[aria-current]").count(), 1);
    await page.click(".copy");
    // The clipboard is asynchronous.
    await page.locator(".copy", { hasText: "Copied" }).waitFor({ timeout: 1_500 });
  });
}

await check("the keyboard does it all", {}, async (page) => {
  await page.locator("#rows li").nth(5).waitFor({ timeout: 30_000 });
  await page.focus("#tab-recent");
  await page.keyboard.press("ArrowRight");
  assert.equal(await page.getAttribute("#tab-slowest", "aria-selected"), "true");
  await page.fill("#filter", "POST");
  await page.focus("#tab-slowest");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  const row = await page.evaluate(() => document.activeElement.closest("li").dataset.key);
  await page.keyboard.press("Enter");
  const items = page.locator("#trace [role=treeitem]");
  await items.nth(1).waitFor();
  assert.equal(await text(page, ".identity code"), row);
  assert.equal(await focused(page), "tree");
  await page.keyboard.press("End");
  assert.equal(await items.last().getAttribute("aria-selected"), "true");
  assert.equal(await page.getAttribute("[role=tree]", "aria-activedescendant"), await items.last().getAttribute("id"));
  const count = await items.count();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowLeft");
  assert.equal(await items.count(), 1);
  await page.keyboard.press("ArrowRight");
  assert.equal(await items.count(), count);
  await page.keyboard.press("Enter");
  assert.equal(await focused(page), "details");
  await page.keyboard.press("Escape");
  assert.equal(await focused(page), "tree");
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("#trace").isVisible(), false);
  assert.equal(await page.evaluate(() => document.activeElement.closest("li").dataset.key), row);
});

await check("a list waits while a trace is read, and goes on then", {}, async (page) => {
  await page.locator("#rows li").nth(5).waitFor({ timeout: 30_000 });
  const keys = () => page.locator("#rows li").evaluateAll((rows) => rows.map((row) => row.dataset.key).join());
  await page.locator("#rows a.row").nth(2).click();
  const before = await keys();
  await page.locator("#newer").waitFor({ timeout: 30_000 });
  assert.equal(await keys(), before);
  await page.click("#newer");
  assert.notEqual(await keys(), before);
  await page.goBack();
  assert.equal(await page.locator("#trace").isVisible(), false);
  await page.click("#pause");
  assert.equal(await text(page, "#state"), "Paused");
});

await check("a server that is gone is said, and that it is back", { mayFail: true }, async (page) => {
  await page.route("**/api/**", (route) => route.abort());
  await page.locator("#trouble").waitFor({ timeout: 30_000 });
  assert.match(await text(page, "#trouble"), /does not answer/);
  await page.unroute("**/api/**");
  await page.locator("#trouble").waitFor({ state: "hidden", timeout: 30_000 });
});

await check("a trace that is not here leads to where it may be", { hash: `#${answers.ID}`, mayFail: true }, async (page) => {
  await page.getByText("This trace is not here").waitFor();
  assert.equal(await page.locator("a.elsewhere").getAttribute("href"), `http://jaeger.example/trace/${answers.ID}`);
});

for (const viewport of [WIDE, PHONE]) {
  const { strange, hostile, large, ID, EVIL } = answers;
  const at = `at ${viewport.width}`;
  await check(`strange lists, ${at}`, { viewport, lists: strange }, async (page) => {
    assert.equal(await page.locator("#rows li").count(), 6);
    assert.equal(await text(page, "#rows .name"), EVIL);
    assert.equal(await page.locator("a.outside").count(), 0);
  });
  await check(`a hostile trace, ${at}`, { viewport, lists: strange, trace: hostile, hash: `#${ID}/0000000000000001` }, async (page) => {
    const items = page.locator("[role=treeitem]");
    await items.nth(9).waitFor();
    assert.equal(await items.count(), 10);
    assert.equal(await text(page, "#trace h2"), EVIL);
    assert.equal(await text(page, ".attributes dd"), EVIL);
    assert.match(await text(page, "#trace header"), /12 spans of it are not shown[^]*parent of 3 spans is not here[^]*before its parent, by up to 30 ms/);
    assert.match(await page.locator("[role=tree]").innerText(), /parent missing[^]*from elsewhere/);
    assert.match(await text(page, ".details"), /7 more events/);
    assert.ok(!(await text(page, ".details")).includes("\u202e"));
    const bars = await page.locator(".bar").evaluateAll((all) => all.map((bar) => bar.getBoundingClientRect().width));
    assert.ok(Math.min(...bars) >= 2, "a bar of no time is seen");
    assert.equal(await page.locator(".bar.open").count(), 1);
    await page.keyboard.press("ArrowLeft");
    assert.equal(await items.count(), 6);
    await page.evaluate(() => (location.hash = location.hash.replace(/1$/, "4")));
    await page.locator("[aria-selected=true]", { hasText: "very long" }).waitFor();
    assert.equal(await items.count(), 10);
    assert.equal(await text(page, ".details .error"), `Failed: ${EVIL}`);
  });
  await check(`a thousand spans, ${at}`, { viewport, lists: strange, trace: large, hash: `#${ID}` }, async (page) => {
    await page.locator("[role=treeitem]").first().waitFor();
    const drawn = await page.locator("[role=treeitem]").count();
    assert.ok(drawn < 60, `${drawn} rows are drawn`);
    const took = await page.evaluate(async () => {
      const [waterfall, frames] = [document.querySelector(".waterfall"), []];
      for (let top = 0; top < 20_000; top += 500) {
        waterfall.scrollTop = top;
        const begin = performance.now();
        await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        frames.push(performance.now() - begin);
      }
      return frames.sort((one, other) => one - other)[Math.floor(frames.length / 2)];
    });
    console.log(`         two frames of a thousand spans that scroll take ${took.toFixed(0)} ms`);
    assert.ok(took < 200, `two frames take ${took} ms`);
    await page.focus("[role=tree]");
    await page.keyboard.press("End");
    assert.equal(await page.locator("[aria-selected=true][role=treeitem]").isVisible(), true);
  });
}

for (const [name, lists, expected] of [
  ["traces are off", answers.off, /OTEL_TRACES_EXPORTER=otlp/],
  ["none are kept here", answers.notKept, /traces\.live\.enabled/],
  ["there are none yet", answers.none, /10 % are kept[^]*OTEL_TRACES_SAMPLER_ARG/],
]) {
  await check(name, { viewport: PHONE, colorScheme: "dark", lists }, async (page) => assert.match(await text(page, "#nothing"), expected));
}

await check("behind a proxy that takes a prefix away", { url: `http://proxy.example${PREFIX}/dashboard/traces` }, async (page) => {
  await page.locator("#rows a.row").first().click({ timeout: 30_000 });
  await page.locator("[role=treeitem]").first().waitFor();
  await page.click("a.service");
  await page.getByText("/dashboard/traces", { exact: true }).click();
  await page.locator("#rows li").first().waitFor({ timeout: 30_000 });
});

await check("real traces on a phone", { viewport: PHONE }, async (page) => {
  await page.fill("#filter", "POST");
  await page.locator("#rows a.row").first().click({ timeout: 30_000 });
  await page.locator("[role=treeitem]").nth(1).click();
  assert.equal(await page.locator("#lists").isVisible(), false);
  await page.click(".back");
  assert.equal(await page.locator("#lists").isVisible(), true);
});

await browser.close();
console.log(failures.length > 0 ? `${failures.length} failed` : "all is well");
process.exit(failures.length > 0 ? 1 : 0);
