// Starts the router and the browser, and checks the rules that hold on every page.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const WIDE = { width: 1280, height: 800 };
export const PHONE = { width: 360, height: 740 };

/** Two alerts that fire at once, so that there is something to silence. */
const RULES = `groups:
- name: browser
  interval: 1s
  rules:
  - alert: always_firing
    expr: vector(0.9) > 0.5
    labels: { severity: warning, model_id: llama }
    annotations: { summary: "the value is {{ $value }}", runbook_url: "http://runbook.example/always" }
  - alert: hostile_alert
    expr: vector(2) > 1
    labels: { severity: critical, html: "<img src=x onerror=\\"document.title='taken'\\">" }
    annotations: { summary: "<b>bold</b> <script>document.title='taken'</script>", runbook_url: "javascript:document.title='taken'" }
`;

/** Starts the router, and returns its addresses by name. */
export async function startRouter(program, more = [], hasRules = true) {
  const rules = join(tmpdir(), `observatory-browser-${process.pid}.yml`);
  await writeFile(rules, RULES);
  const router = spawn(program, ["--listen", "127.0.0.1:0", "--monitor", "127.0.0.1:0", ...more], {
    env: { ...(hasRules ? { OBSERVATORY_RULES: rules } : {}), OBSERVATORY_ALLOWED_HOSTS: "proxy.example", OBSERVATORY_TRACE_URL: "http://jaeger.example/trace/{trace_id}" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  process.on("exit", () => router.kill("SIGKILL"));
  return new Promise((resolve, reject) => {
    let said = "";
    router.stderr.on("data", (data) => {
      said += data;
      const found = Object.fromEntries([...said.matchAll(/^(page|chat) +(\S+)$/gm)].map(([, name, url]) => [name, url]));
      if (found.page && found.chat) resolve({ ...found, stop: () => router.kill("SIGKILL") });
    });
    router.stderr.on("end", () => reject(new Error(`the router has ended: ${said}`)));
  });
}

export function startBrowser() {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
}

export const failures = [];

/** Makes the function that runs a check: opens the page, acts, and checks the rules that hold on every page. */
export function checker(browser, base) {
  return async (name, { viewport = WIDE, colorScheme = "light", url = base, hash = "", mayFail = false, answers = {}, shot, isQuick = false }, act) => {
    if (process.env.ONLY && !name.includes(process.env.ONLY)) return;
    const context = await browser.newContext({ viewport, colorScheme, reducedMotion: "reduce" });
    const page = await context.newPage();
    const complaints = [];
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) && !(mayFail && message.text().startsWith("Failed to load"))) complaints.push(message.text());
    });
    page.on("pageerror", (error) => complaints.push(String(error)));
    await page.addInitScript(() => addEventListener("securitypolicyviolation", (event) => console.error(`policy: ${event.violatedDirective}`)));
    for (const [pattern, body] of Object.entries(answers)) {
      await page.route(pattern, (route) => route.fulfill({ contentType: "application/json", body: JSON.stringify(body) }));
    }
    if (process.env.ASSETS) await page.route("**/dashboard/assets/**", fromDisk);
    try {
      await act(page, async (at = url + hash) => {
        await page.goto(at);
        await page.locator("main > *").first().waitFor();
      });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      assert.equal(overflow, 0, "the page scrolls sideways");
      assert.equal(await page.locator("main img, main b b, main script").count(), 0, "text has become markup");
      assert.ok(!(await page.title()).includes("taken"), "a script of a name has run");
      const links = await page.locator("a[href]").evaluateAll((all) => all.map((link) => new URL(link.href).protocol));
      assert.ok(links.every((protocol) => ["http:", "https:"].includes(protocol)), `links: ${links}`);
      if (shot ?? process.env.SHOTS) await save(page, shot ?? join(process.env.SHOTS, `${name.replaceAll(/\W+/g, "-")}.png`));
      if (!isQuick) await accessible(page);
      assert.deepEqual(complaints, []);
      console.log(`ok       ${name}`);
    } catch (error) {
      failures.push(name);
      console.log(`FAILED   ${name}\n${error.stack}\n${complaints.join("\n")}`);
      if (process.env.SHOTS) await save(page, join(process.env.SHOTS, `failed-${name.replaceAll(/\W+/g, "-")}.png`)).catch(() => {});
    }
    await context.close();
  };
}

/** Serves an asset from the folder ASSETS, so that a change of a script needs no build of the router. */
async function fromDisk(route) {
  const name = new URL(route.request().url()).pathname.split("/").pop();
  const answer = await route.fetch();
  const found = await Promise.any(["dashboard", "vendor"].map((folder) => readFile(join(process.env.ASSETS, folder, name))));
  await route.fulfill({ response: answer, body: found });
}

async function save(page, path) {
  await mkdir(join(path, ".."), { recursive: true });
  await page.screenshot({ path });
}

/** Checks the automatable rules of WCAG 2.2 AA, including contrast. Injected by the debugger, since the policy forbids scripts. */
async function accessible(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => axe.run({ runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  const said = found.violations.flatMap((rule) => rule.nodes.map((node) => `${rule.id}: ${node.target} ${node.failureSummary}`));
  assert.deepEqual(said, []);
}

export const text = (page, selector) => page.locator(selector).first().innerText();
