// Prints the emotions of a WAV file: node emotions.mjs BUNDLE FILE.wav
// BUNDLE is a folder with bundle.json and waveform.onnx (src/serkit/bundles/default). Needs: npm install onnxruntime-web
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import * as ort from "onnxruntime-web/wasm";

const RATE = 16000;

/** Samples of a 16-bit WAV file, mixed down to one channel, full scale 1.0. */
function readWav(file, bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const mark = (at) => bytes.toString("latin1", at, at + 4);
  if (mark(0) !== "RIFF" || mark(8) !== "WAVE") throw new Error(`${file}: is not a WAV file`);
  let channels = 0;
  for (let at = 12; at + 8 <= bytes.length;) {
    const size = Math.min(view.getUint32(at + 4, true), bytes.length - at - 8);
    if (mark(at) === "fmt ") {
      channels = view.getUint16(at + 10, true);
      const [rate, bits] = [view.getUint32(at + 12, true), view.getUint16(at + 22, true)];
      if (rate !== RATE || bits !== 16)
        throw new Error(
          `${file}: has ${rate} Hz and ${bits} bits; convert it: ffmpeg -i ${file} -ar ${RATE} -c:a pcm_s16le out.wav`,
        );
    }
    if (mark(at) === "data" && channels) {
      const samples = new Float32Array(Math.floor(size / 2 / channels));
      for (let index = 0; index < samples.length * channels; index++)
        samples[Math.floor(index / channels)] += view.getInt16(at + 8 + 2 * index, true) / 32768 / channels;
      return samples;
    }
    at += 8 + size + (size % 2);
  }
  throw new Error(`${file}: holds no samples`);
}

const [bundle, ...files] = process.argv.slice(2);
if (!files.length) throw new Error("usage: node emotions.mjs BUNDLE FILE.wav...");
const { labels } = JSON.parse(await readFile(join(bundle, "bundle.json"), "utf8"));
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(await readFile(join(bundle, "waveform.onnx")));
for (const file of files) {
  const samples = readWav(file, await readFile(file));
  const { probabilities, sure } = await session.run({
    samples: new ort.Tensor("float32", samples, [1, samples.length]),
  });
  const named = labels.map((label, index) => `${label} ${probabilities.data[index].toFixed(4)}`);
  console.log(`${file}: ${named.join(", ")}${sure.data[0] ? "" : " (unsure)"}`);
}
