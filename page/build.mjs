// Builds the page into the Python package (`node build.mjs`), or its tests into build/ (`node build.mjs --tests`).
import { build } from "esbuild";
import { copyFile, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "../src/serkit/app/page/dist");

const shared = { absWorkingDir: here, bundle: true, jsx: "automatic", jsxImportSource: "preact", logLevel: "warning" };

if (process.argv.includes("--tests")) await buildTests();
else await buildPage();

async function buildPage() {
  const fresh = `${dist}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true });
  const { metafile } = await build({
    ...shared,
    entryPoints: { page: "src/main.tsx", capture: "src/sound/capture.worklet.ts", style: "src/styles/style.css" },
    outdir: fresh,
    format: "esm",
    target: ["es2022"],
    minify: true,
    legalComments: "none", // LICENSES.txt holds them in full
    metafile: true,
  });
  for (const file of ["index.html", "favicon.svg"]) await copyFile(join(here, "src", file), join(fresh, file));
  await writeFile(join(fresh, "LICENSES.txt"), await licences(Object.keys(metafile.inputs)));
  await rm(dist, { recursive: true, force: true });
  await rename(fresh, dist);
}

async function buildTests() {
  await rm(join(here, "build"), { recursive: true, force: true });
  await build({
    ...shared,
    entryPoints: ["tests/*.test.ts"],
    outdir: "build/tests",
    outExtension: { ".js": ".mjs" },
    format: "esm",
    platform: "node",
  });
}

/** The licence text of every package with a file in the bundle. */
async function licences(inputs) {
  const folders = new Set(inputs.map((path) => path.match(/^node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0]).filter(Boolean));
  const texts = ["Third-party software in this folder. The page itself: Apache-2.0, as serkit.\n"];
  for (const folder of [...folders].sort()) {
    const { name, version, license } = JSON.parse(await readFile(join(here, folder, "package.json"), "utf8"));
    const file = (await readdir(join(here, folder))).find((file) => /^licen[cs]e/i.test(file));
    const text = file ? await readFile(join(here, folder, file), "utf8") : await licenceInReadme(folder, name);
    texts.push(`${"-".repeat(72)}\n${name} ${version} (${license})\n\n${text.trim()}\n`);
  }
  return texts.join("\n");
}

/** Some packages keep their licence in the last section of their readme. */
async function licenceInReadme(folder, name) {
  const readme = await readFile(join(here, folder, "README.md"), "utf8");
  const section = readme.split(/^#+ *licen[cs]e *$/im)[1];
  if (!section) throw new Error(`${name}: no licence text found, so it cannot be passed on`);
  return section;
}
