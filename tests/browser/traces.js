// The view of traces: lists, filters, one trace, hostile and huge answers.

import assert from "node:assert/strict";
import * as answers from "./answers.js";
import { PHONE, text, WIDE } from "./driver.js";

const LISTS = "**/api/observatory/traces?*";
const ONE = "**/api/observatory/traces/*";
const focused = (page) => page.evaluate(() => document.activeElement.getAttribute("role") ?? document.activeElement.className);

export async function traces(check, { page: base }) {
  for (const colorScheme of ["light", "dark"]) {
    await check(`lists fill and a click shows the waterfall, ${colorScheme}`, { colorScheme, hash: "#/traces" }, async (page, open) => {
      await open();
      await page.locator(".rows li").nth(5).waitFor({ timeout: 30_000 });
      await page.getByRole("button", { name: "Failed" }).click();
      await page.locator(".rows li.failed a.row").first().click({ timeout: 30_000 });
      await page.locator("[role=treeitem]").nth(1).waitFor();
      assert.match(page.url(), /#\/traces\/[0-9a-f]{32}/);
      assert.match(await text(page, ".trace .summary"), /failed/);
      assert.match(await text(page, ".details .error"), /^Failed/);
      assert.match(await text(page, ".details .attributes"), /model/);
      const id = await text(page, ".identity code");
      assert.equal(await page.locator("a.elsewhere").getAttribute("href"), `http://jaeger.example/trace/${id}`);
      assert.equal(await page.locator(".rows a[aria-current]").count(), 1);
      await page.click(".copy");
      // The clipboard is asynchronous.
      await page.locator(".copy", { hasText: "Copied" }).waitFor({ timeout: 1_500 });
      const labels = await page.locator(".scale span:not(:empty):visible").evaluateAll((all) => all.map((label) => label.getBoundingClientRect()).map(({ left, right }) => [left, right]));
      assert.ok(labels.every(([left], at) => at === 0 || left >= labels[at - 1][1] - 1), `labels of the axis: ${labels}`);
    });
  }

  await check("the keyboard does it all with traces", { hash: "#/traces" }, async (page, open) => {
    await open();
    await page.locator(".rows li").nth(5).waitFor({ timeout: 30_000 });
    await page.keyboard.press("/");
    await page.keyboard.type("POST");
    await page.getByRole("button", { name: "Slowest" }).focus();
    await page.keyboard.press("Enter");
    await page.locator(".order", { hasText: "slowest" }).waitFor();
    await page.locator(".rows a.row").first().focus();
    await page.keyboard.press("ArrowDown");
    const row = await page.evaluate(() => document.activeElement.closest("li").dataset.key);
    await page.keyboard.press("Enter");
    const items = page.locator(".trace [role=treeitem]");
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
    assert.match(await focused(page), /details/);
    await page.keyboard.press("Escape");
    assert.equal(await focused(page), "tree");
    await page.keyboard.press("Escape");
    await page.locator(".trace").waitFor({ state: "detached" });
    await page.waitForFunction((key) => document.activeElement.closest("li")?.dataset.key === key, row);
  });

  await check("a list waits while a trace is read, and goes on then", { hash: "#/traces" }, async (page, open) => {
    await open();
    await page.locator(".rows li").nth(5).waitFor({ timeout: 30_000 });
    const keys = () => page.locator(".rows li").evaluateAll((rows) => rows.map((row) => row.dataset.key).join());
    await page.locator(".rows a.row").nth(2).click();
    await page.locator(".trace").waitFor();
    const before = await keys();
    await page.locator(".newer").waitFor({ timeout: 30_000 });
    assert.equal(await keys(), before);
    await page.click(".newer");
    await page.waitForTimeout(1_500);
    assert.notEqual(await keys(), before);
    await page.goBack();
    await page.locator(".trace").waitFor({ state: "detached" });
  });

  await check("a trace that is not here leads to where it may be", { hash: `#/traces/${answers.ID}`, mayFail: true }, async (page, open) => {
    await open();
    await page.getByText("This trace is not here").waitFor();
    assert.equal(await page.locator("a.elsewhere").getAttribute("href"), `http://jaeger.example/trace/${answers.ID}`);
  });

  await check("the former address of a trace leads to it", { mayFail: true }, async (page, open) => {
    await open(`${base}dashboard/traces#${answers.ID}`);
    await page.getByText("This trace is not here").waitFor();
    await page.goto(`${base}dashboard/traces`);
    await page.locator(".order").waitFor();
  });

  for (const viewport of [WIDE, PHONE]) {
    const { strange, hostile, large, ID, EVIL } = answers;
    const at = `at ${viewport.width}`;
    await check(`strange lists, ${at}`, { viewport, answers: { [LISTS]: strange }, hash: "#/traces" }, async (page, open) => {
      await open();
      await page.locator(".rows li").first().waitFor();
      assert.equal(await page.locator(".rows li").count(), strange.recent.length);
      assert.equal(await text(page, ".rows .name"), EVIL);
      assert.equal(await page.locator("a.outside").count(), 0);
    });
    await check(`a hostile trace, ${at}`, { viewport, answers: { [LISTS]: strange, [ONE]: hostile }, hash: `#/traces/${ID}/0000000000000001` }, async (page, open) => {
      await open();
      const items = page.locator("[role=treeitem]");
      await items.nth(9).waitFor();
      assert.equal(await items.count(), 10);
      assert.equal(await text(page, ".trace h2"), EVIL);
      assert.equal(await text(page, ".attributes dd"), EVIL);
      assert.match(await text(page, ".trace header"), /12 spans of it are not shown[^]*parent of 3 spans is not here[^]*before its parent, by up to 30 ms/);
      assert.match(await page.locator("[role=tree]").innerText(), /parent missing[^]*from elsewhere/);
      assert.match(await text(page, ".details"), /7 more events/);
      assert.ok(!(await text(page, ".details")).includes("\u202e"));
      const bars = await page.locator(".line .bar").evaluateAll((all) => all.map((bar) => bar.getBoundingClientRect().width));
      assert.ok(Math.min(...bars) >= 2, "a bar of no time is seen");
      assert.equal(await page.locator(".bar.open").count(), 1);
      await page.locator("[role=tree]").focus();
      await page.keyboard.press("ArrowLeft");
      assert.equal(await items.count(), 6);
      await page.evaluate(() => (location.hash = location.hash.replace(/1$/, "4")));
      await page.locator("[aria-selected=true]", { hasText: "very long" }).waitFor();
      assert.equal(await items.count(), 10);
      assert.equal(await text(page, ".details .error"), `Failed: ${EVIL}`);
    });
    await check(`a thousand spans, ${at}`, { viewport, answers: { [LISTS]: strange, [ONE]: large }, hash: `#/traces/${ID}` }, async (page, open) => {
      await open();
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
    await check(name, { viewport: PHONE, colorScheme: "dark", answers: { [LISTS]: lists }, hash: "#/traces" }, async (page, open) => {
      await open();
      await page.locator(".empty").waitFor();
      assert.match(await text(page, ".empty"), expected);
    });
  }

  await check("real traces on a phone", { viewport: PHONE, hash: "#/traces" }, async (page, open) => {
    await open();
    await page.locator("[data-search]").fill("POST");
    await page.locator(".rows a.row").first().click({ timeout: 30_000 });
    await page.locator("[role=treeitem]").nth(1).click();
    assert.equal(await page.locator(".lists").isVisible(), false);
    await page.click(".back");
    await page.locator(".lists").waitFor();
  });
}
