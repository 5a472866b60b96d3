// The dashboard in a real browser, of a router with traffic and faults: `node dashboard.js PATH/TO/llm_router`.
// CHROMIUM names the browser; SHOTS, the folder for screenshots; IMAGES, the folder for the three of the README; ONLY, a
// part of the names of the checks to run.

import { join } from "node:path";
import { checker, failures, startBrowser, startRouter, WIDE } from "./driver.js";
import { queries } from "./queries.js";
import { traces } from "./traces.js";
import { firstRequest, hostile, measures, paths, proxied, views } from "./views.js";

const router = await startRouter(process.argv[2], ["--fault-rate", "0.05", "--disconnect-rate", "0.03"]);
const browser = await startBrowser();
const check = checker(browser, router.page);

await queries(router);
await firstRequest(browser, process.argv[2]);
await measures(check, router);
await paths(check, router);
await traces(check, router);
await views(check);
await hostile(check);
await proxied(check, router);

if (process.env.IMAGES) await images(process.env.IMAGES);

await browser.close();
router.stop();
console.log(failures.length > 0 ? `${failures.length} failed: ${failures.join("; ")}` : "all is well");
process.exit(failures.length > 0 ? 1 : 0);

/** Takes the pictures of the README, of a router that has run for some minutes. */
async function images(folder) {
  const router = await startRouter(process.argv[2], ["--fault-rate", "0.004"], false);
  await new Promise((resolve) => setTimeout(resolve, 150_000));
  for (const [name, hash, element, colorScheme] of [
    ["overview", "#/", ".tile .spark path", "light"],
    ["models", "#/models", "tbody td .spark path", "dark"],
    ["traces", "#/traces?view=slowest", ".rows li", "light"],
  ]) {
    await checker(browser, router.page)(`image ${name}`, { viewport: WIDE, colorScheme, hash, shot: join(folder, `dashboard-${name}.png`) }, async (page, open) => {
      await open();
      await page.locator(element).first().waitFor({ timeout: 20_000 });
      if (name === "traces") await page.locator(".rows li a.row", { hasText: "tok" }).first().click();
      await page.waitForTimeout(2500);
    });
  }
  router.stop();
}
