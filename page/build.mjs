// Builds the page into the Python package (`node build.mjs`), the page without a server into build/static (`node
// build.mjs --static`), or the tests into build/ (`node build.mjs --tests`).
import { build } from "esbuild";
import { createHash } from "node:crypto";
import { access, copyFile, mkdir, readFile, readdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const dist = join(here, "../src/serkit/app/page/dist");
const bundles = join(here, "../src/serkit/bundles");
const site = join(here, "build/static");

/** What the page without a server may do: everything from its own files, nothing inline. */
const POLICY =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self'; media-src blob:; " +
  "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'";

/** Length of a timeline's window in s, unless a model reads less. */
const WINDOW = 1.5;

const shared = { absWorkingDir: here, bundle: true, jsx: "automatic", jsxImportSource: "preact", logLevel: "warning" };

if (process.argv.includes("--tests")) await buildTests();
else if (process.argv.includes("--static")) await buildStatic();
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
  for (const file of ["index.html", "favicon.svg", "sample.flac"])
    await copyFile(join(here, "src", file), join(fresh, file));
  await writeFile(join(fresh, "LICENSES.txt"), await licences(Object.keys(metafile.inputs)));
  await rm(dist, { recursive: true, force: true });
  await rename(fresh, dist);
}

/** The same page with everything that recognizes: onnxruntime, the voice activity detector, the bundled recognizers. */
async function buildStatic() {
  const fresh = `${site}.new`;
  await rm(fresh, { recursive: true, force: true });
  await mkdir(fresh, { recursive: true });
  const options = { ...shared, outdir: fresh, format: "esm", target: ["es2022"], minify: true, legalComments: "none" };
  const { metafile } = await build({
    ...options,
    entryPoints: {
      page: "src/local/main.ts",
      worker: "src/local/worker.ts",
      capture: "src/sound/capture.worklet.ts",
      style: "src/styles/style.css",
    },
    // What the libraries load where there is no browser.
    external: ["module", "worker_threads", "fs", "path", "url", "node:*"],
    metafile: true,
  });
  for (const file of ["favicon.svg", "sample.flac"]) await copyFile(join(here, "src", file), join(fresh, file));
  const modules = join(here, "node_modules");
  await copyFile(join(modules, "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm"), join(fresh, "ort.wasm"));
  await copyFile(join(modules, "@echogarden/fvad-wasm/fvad.wasm"), join(fresh, "fvad.wasm"));
  await writeFile(join(fresh, "models.json"), JSON.stringify(await models(fresh)));
  await writeFile(join(fresh, "LICENSES.txt"), await licences(Object.keys(metafile.inputs)));
  const page = await readFile(join(here, "src/index.html"), "utf8");
  const policy = `<meta http-equiv="Content-Security-Policy" content="${POLICY}" />`;
  await writeFile(join(fresh, "index.html"), page.replace("<head>", `<head>\n    ${policy}`));
  const files = await readdir(fresh);
  const digest = createHash("sha256");
  for (const file of files.sort()) digest.update(await readFile(join(fresh, file)));
  await build({
    ...options,
    entryPoints: { offline: "src/local/offline.ts" },
    define: { FILES: JSON.stringify(["./", ...files]), DIGEST: JSON.stringify(digest.digest("hex").slice(0, 16)) },
  });
  await rm(site, { recursive: true, force: true });
  await rename(fresh, site);
}

/** Copies the waveform files of the bundled recognizers; returns what the server answers at `v1/models`. */
async function models(folder) {
  const found = [];
  for (const name of (await readdir(bundles)).sort()) {
    const bundle = join(bundles, name);
    const waveform = join(bundle, "waveform.onnx");
    const there = await access(waveform).then(
      () => true,
      () => false,
    );
    if (!there) continue;
    const described = JSON.parse(await readFile(join(bundle, "bundle.json"), "utf8"));
    const content = await readFile(waveform);
    await writeFile(join(folder, `${name}.onnx`), content);
    found.push({
      name,
      default: name === "default",
      labels: described.labels,
      languages: described.languages,
      licence: described.licence,
      trained_on: described.trained_on.corpora,
      parameters: described.size.parameters,
      megabytes: content.length / 1e6,
      scores: described.scores,
      unsure: described.unsure ?? null,
      familiar: described.familiar && {
        threshold: described.familiar.threshold,
        window_threshold: described.familiar.window_threshold,
      },
      temperature: described.calibration?.temperature ?? null,
      window: Math.min(WINDOW, described.windowing.seconds ?? WINDOW),
      card: await readFile(join(bundle, "CARD.md"), "utf8"),
    });
  }
  return found;
}

async function buildTests() {
  await rm(join(here, "build/tests"), { recursive: true, force: true });
  await build({
    ...shared,
    entryPoints: ["tests/*.test.ts"],
    outdir: "build/tests",
    outExtension: { ".js": ".mjs" },
    format: "esm",
    platform: "node",
    external: ["onnxruntime-web", "@echogarden/fvad-wasm"],
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
