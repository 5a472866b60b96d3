#!/usr/bin/env node
// Makes the bundles of the libraries and the file of their licences: `npm ci && node build.js`. With `--check`, compares
// them with the committed files instead of writing them.

import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";

const HERE = import.meta.dirname;
const isCheck = process.argv.includes("--check");
const entries = (await readdir(join(HERE, "entry"))).sort();
const packages = new Set();
const made = new Map();

for (const entry of entries) {
  const { outputFiles, metafile } = await build({
    entryPoints: [join(HERE, "entry", entry)],
    absWorkingDir: HERE,
    bundle: true,
    minify: true,
    format: "esm",
    target: "es2022",
    loader: { ".css": "empty" },
    charset: "utf8",
    legalComments: "none",
    metafile: true,
    write: false,
  });
  for (const input of Object.keys(metafile.inputs)) {
    const found = input.match(/^.*node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (found) packages.add(found[0]);
  }
  made.set(entry, outputFiles[0].text);
}
made.set("uplot.css", (await readFile(join(HERE, "node_modules/uplot/dist/uPlot.min.css"), "utf8")).trim() + "\n");
made.set("LICENSES.txt", await licences());

let isSame = true;
for (const [name, text] of made) {
  const path = join(HERE, name);
  if (!isCheck) await writeFile(path, text);
  else if ((await readFile(path, "utf8").catch(() => "")) !== text) {
    isSame = false;
    console.error(`${name} differs from its sources; run: cd assets/vendor && npm ci && node build.js`);
  }
}
process.exit(isSame ? 0 : 1);

/** Returns the licence texts of every package that a bundle contains. */
async function licences() {
  const texts = new Map();
  for (const folder of [...packages].sort()) {
    const about = JSON.parse(await readFile(join(HERE, folder, "package.json"), "utf8"));
    const file = (await readdir(join(HERE, folder))).find((name) => /^licen[cs]e/i.test(name));
    const text = file ? await readFile(join(HERE, folder, file), "utf8") : `Licence: ${about.license}`;
    const names = texts.get(text.trim()) ?? [];
    texts.set(text.trim(), [...names, `${about.name} ${about.version} (${about.license})`]);
  }
  const parts = [...texts].map(([text, names]) => `${names.join("\n")}\n\n${text}\n`);
  return `The licences of the libraries in the bundles of this folder.\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`;
}
