import assert from "node:assert/strict";
import { test } from "node:test";
import { Envelope } from "../src/draw/envelope";
import { BANDS, LogMel, melEdges } from "../src/draw/log-mel";
import { Rolling } from "../src/sound/rolling";
import { wav } from "../src/sound/wav";

test("a WAV file says its rate and length", async () => {
  const blob = wav([Float32Array.of(0, 1), Float32Array.of(-1)], 48000);
  const view = new DataView(await blob.arrayBuffer());
  const text = (offset: number) => String.fromCharCode(...new Uint8Array(view.buffer, offset, 4));
  assert.deepEqual([text(0), text(8), text(12), text(36)], ["RIFF", "WAVE", "fmt ", "data"]);
  assert.equal(view.getUint32(4, true), 36 + 6);
  assert.equal(view.getUint32(24, true), 48000);
  assert.equal(view.getUint32(28, true), 96000);
  assert.equal(view.getUint32(40, true), 6);
  assert.equal(view.getInt16(48, true), -32767);
});

test("a rolling sound keeps the newest samples and their time", () => {
  const rolling = new Rolling(2, 2); // 4 samples
  rolling.push(Float32Array.of(1, 2, 3));
  assert.deepEqual([...rolling.samples().values], [1, 2, 3]);
  rolling.push(Float32Array.of(4, 5, 6));
  const { from, values } = rolling.samples();
  assert.deepEqual([...values], [3, 4, 5, 6]);
  assert.equal(from, 1);
  assert.equal(rolling.now, 3);
});

test("the envelope holds every extreme, near and far", () => {
  const values = new Float32Array(4096);
  values[1000] = 0.5;
  values[3000] = -0.75;
  const envelope = new Envelope({ rate: 1000, from: 2, values });
  assert.deepEqual(envelope.between(2, 6.096), [-0.75, 0.5]); // by blocks
  assert.deepEqual(envelope.between(2.999, 3.002), [0, 0.5]); // by samples
  assert.deepEqual(envelope.between(3.0002, 3.0004), [0.5, 0.5]); // closer than a sample
  assert.equal(envelope.between(0, 1), null);
  assert.equal(envelope.peak, 0.75);
});

test("mel edges: the ends, and a middle that is the mean in mel", () => {
  const edges = melEdges();
  assert.equal(edges.length, BANDS + 2);
  assert.ok(Math.abs(edges[0]! - 60) < 1e-9);
  assert.ok(Math.abs(edges.at(-1)! - 7800) < 1e-6);
  // Mel of 60 Hz 92.7, of 7800 Hz 2813.8; a fifth of the way, 636.9 mel, is 531.8 Hz.
  assert.ok(Math.abs(edges[13]! - 531.8) < 0.1, String(edges[13]));
});

test("a full-scale sine has about 0 dB in the band around it and little elsewhere", () => {
  const rate = 16000;
  const values = Float32Array.from({ length: rate }, (_, n) => Math.sin((2 * Math.PI * 1000 * n) / rate));
  const column = new Float32Array(BANDS);
  new LogMel(rate).at({ rate, from: 0, values }, 0.5, column);
  const peak = column.indexOf(Math.max(...column));
  const edges = melEdges();
  assert.ok(edges[peak]! < 1000 && 1000 < edges[peak + 2]!);
  assert.ok(Math.abs(column[peak]!) < 3, String(column[peak]));
  assert.ok(column[BANDS - 1]! < -60);
});

test("silence is the floor in every band", () => {
  const column = new Float32Array(BANDS);
  new LogMel(16000).at({ rate: 16000, from: 0, values: new Float32Array(16000) }, 0.5, column);
  assert.ok(column.every((level) => Math.abs(level + 100) < 1e-3));
});
