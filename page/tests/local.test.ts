/** The page without a server repeats what Python computes (tests/recognition/page_vectors.py). */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import type { Segment, Timeline, Window } from "../src/api/types";
import { Activity, type Detector } from "../src/local/activity";
import { FORMATS } from "../src/local/formats";
import { loadDetectors } from "../src/local/detector";
import { Recognizer } from "../src/local/recognizer";
import { Resampler } from "../src/local/resampler";
import { Segmenter } from "../src/local/segmenter";
import { Stream } from "../src/local/stream";
import { readWav } from "../src/local/wav";
import { wav } from "../src/sound/wav";

const PAGE = process.cwd();
const BUNDLES = join(PAGE, "../src/serkit/bundles");
const resolved = createRequire(join(PAGE, "package.json")).resolve;

interface Vectors {
  activity: {
    flags: number[];
    step: number;
    pause: number;
    steps: { ended: [number, number][]; region: [number, number] | null; share: number }[];
  }[];
  segmenter: {
    change: number;
    lookahead: number;
    probabilities: number[][];
    steps: { final: Short[]; preview: Short[] }[];
    last: Short[];
  }[];
  timeline: Record<string, { timeline: Timeline; files: Record<string, string> }>;
}

type Short = [number, number, string, number, boolean];

const vectors = JSON.parse(await readFile(join(PAGE, "tests/vectors.json"), "utf8")) as Vectors;

const near = (found: number, wanted: number, within: number) =>
  assert.ok(Math.abs(found - wanted) <= within, `${found} instead of ${wanted}`);

class Told implements Detector {
  readonly frame = 320;
  private at = 0;
  constructor(private readonly flags: number[]) {}
  isSpeech(): boolean {
    return this.flags[this.at++] === 1;
  }
  close(): void {}
}

test("speech begins and ends where it does in Python", () => {
  for (const { flags, step, pause, steps } of vectors.activity) {
    const activity = new Activity(new Told(flags), pause, 1.5);
    steps.forEach((wanted, index) => {
      const ended = activity.hear(new Float32Array(step)).map(({ start, end }) => [start, end]);
      assert.deepEqual(ended, wanted.ended);
      assert.deepEqual(activity.region && [activity.region.start, activity.region.end], wanted.region);
      const end = ((index + 1) * step) / 16000;
      assert.equal(activity.share(Math.max(0, end - 1.5), end), wanted.share);
    });
  }
});

test("segments change where they do in Python", () => {
  const labels = ["anger", "neutral", "sadness"];
  const same = (found: Segment[], wanted: Short[]) => {
    assert.equal(found.length, wanted.length);
    found.forEach((one, index) => {
      const [start, end, label, confidence, sure] = wanted[index]!;
      assert.deepEqual([one.start, one.end, one.label, one.sure], [start, end, label, sure]);
      near(one.confidence, confidence, 1e-8);
    });
  };
  for (const { change, lookahead, probabilities, steps, last } of vectors.segmenter) {
    const segmenter = new Segmenter(labels, lookahead, change, (confidence) =>
      confidence >= 0.5 ? "" : "low confidence",
    );
    probabilities.forEach((row, index) => {
      same(segmenter.add(index * 0.5, (index + 1) * 0.5, row), steps[index]!.final);
      same(segmenter.preview((index + 1) * 0.5 - 0.1), steps[index]!.preview);
    });
    same(segmenter.finish(probabilities.length * 0.5 - 0.1), last);
  }
});

test("a change costs less where the probabilities are flattened", async () => {
  const stretches = async (flattening: number) => {
    let windows = 0;
    const model = {
      labels: ["anger", "neutral"],
      window: 1.5,
      flattening,
      doubt: () => "",
      recognize: async () => {
        const high = windows++ < 10 ? 0.6 : 0.4;
        return { probabilities: Float32Array.of(high, 1 - high), speech: 1, distance: 0 };
      },
    };
    const stream = new Stream(model, new Told(Array<number>(5000).fill(1)), 16000);
    const events = [...(await stream.push(new Float32Array(160_000).fill(0.1))), ...(await stream.finish())];
    return events.filter((event) => event.type === "segment" && event.final).length;
  };
  // Four seconds of the other label are worth 4 ln 1.5 = 1.6; smoothing takes some of it.
  assert.equal(await stretches(1), 2);
  assert.equal(await stretches(0.25), 1);
});

/** The voice of page_vectors.py. */
function voice(seconds = 12, rate = 16000): Float32Array {
  return Float32Array.from({ length: seconds * rate }, (_, number) => {
    const time = number / rate;
    const phase = 2 * Math.PI * (140 * time + 6 * Math.sin(2 * Math.PI * 0.5 * time));
    let tone = 0;
    for (let k = 1; k < 12; k++) tone += Math.sin(k * phase) / k;
    const syllable = Math.max(0, Math.sin(2 * Math.PI * 2 * time));
    return 0.2 * tone * syllable * (time % 6 < 4.5 ? 1 : 0);
  });
}

async function recognizer(name: string): Promise<Recognizer> {
  const ort = await import("onnxruntime-web/wasm");
  ort.env.wasm.numThreads = 1;
  const described = JSON.parse(await readFile(join(BUNDLES, name, "bundle.json"), "utf8"));
  const session = await ort.InferenceSession.create(await readFile(join(BUNDLES, name, "waveform.onnx")));
  const library = await readFile(join(dirname(resolved("@echogarden/fvad-wasm")), "fvad.wasm"));
  const { buffer, byteOffset, byteLength } = library;
  const detectors = await loadDetectors(buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer);
  const { labels, unsure, familiar, calibration } = described;
  const facts = { name, labels, window: 1.5, temperature: calibration.temperature, unsure, familiar };
  return new Recognizer(facts, session, ort.Tensor, detectors);
}

for (const [name, { timeline: wanted, files }] of Object.entries(vectors.timeline)) {
  test(`the timeline of ${name} is that of Python`, async () => {
    const found = await (await recognizer(name)).timeline("signal", voice(), 12);
    const times = ({ start, end }: Window | Segment) => [start, end];
    assert.deepEqual(found.windows.map(times), wanted.windows.map(times));
    const short = ({ start, end, label, sure, doubt }: Segment) => [start, end, label, sure, doubt];
    assert.deepEqual(found.segments.map(short), wanted.segments.map(short));
    found.windows.forEach((window, index) => {
      const other = wanted.windows[index]!;
      assert.equal(window.speech, other.speech);
      assert.equal(window.probabilities === null, other.probabilities === null);
      for (const [label, value] of Object.entries(window.probabilities ?? {}))
        near(value, other.probabilities![label]!, 1e-4);
    });
    assert.deepEqual(found.warnings, wanted.warnings);
  });

  test(`the files of ${name} are those of Python`, () => {
    for (const [format, text] of Object.entries(files))
      assert.equal(FORMATS[format]!({ ...wanted, model: name }), text, format);
  });
}

test("an answer of the whole sound, and of silence", async () => {
  const found = await (await recognizer("default")).predict("signal", voice(), 12);
  near(
    Object.values(found.probabilities).reduce((sum, one) => sum + one, 0),
    1,
    1e-5,
  );
  assert.equal(found.confidence, Math.max(...Object.values(found.probabilities)));
  const silence = await (await recognizer("default")).predict("silence.wav", new Float32Array(16000), 1);
  assert.equal(silence.sure, false);
  assert.deepEqual(silence.warnings, ["silence.wav: silent (no sample above -96 dB of full scale)"]);
});

test("resampling keeps tones, removes what cannot be kept, and does not depend on chunks", () => {
  for (const rate of [8000, 11025, 44100, 44101, 48000]) {
    for (const [frequency, level] of [
      [1000, 1],
      [3500, 1],
      [9500, 0],
    ] as const) {
      if (frequency > rate / 2) continue;
      const tone = Float32Array.from({ length: rate }, (_, i) => Math.sin((2 * Math.PI * frequency * i) / rate));
      const whole = resampled(rate, [tone]);
      assert.equal(whole.length, 16000);
      const parts = Array.from({ length: Math.ceil(rate / 999) }, (_, i) => tone.subarray(999 * i, 999 * (i + 1)));
      assert.deepEqual(resampled(rate, parts), whole);
      for (let i = 2000; i < 14000; i++)
        near(whole[i]!, level * Math.sin((2 * Math.PI * frequency * i) / 16000), rate === 44101 ? 2e-3 : 2e-5);
    }
  }
});

function resampled(rate: number, parts: Float32Array[]): number[] {
  const resampler = new Resampler(rate, 16000);
  return [...parts.map((part) => resampler.push(part)), resampler.finish()].flatMap((part) => [...part]);
}

test("a WAV file of the page is read back", async () => {
  const samples = Float32Array.of(0, 0.5, -0.5, 0.25);
  const found = readWav(await wav([samples], 44100).arrayBuffer())!;
  assert.equal(found.rate, 44100);
  found.channels[0]!.forEach((value, index) => near(value, samples[index]!, 1e-4));
  assert.equal(readWav(new TextEncoder().encode("RIFF, and then nothing that is sound").buffer as ArrayBuffer), null);
});
