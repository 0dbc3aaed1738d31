import assert from "node:assert/strict";
import { test } from "node:test";
import { toInt16, withSegment } from "../src/api/stream";
import type { LiveSegment } from "../src/api/types";

test("16-bit samples are little-endian, rounded and clipped", () => {
  const bytes = new Uint8Array(toInt16(Float32Array.of(0, 0.5, 1, -2)));
  // 16384 = 0x4000 (0.5 * 32767 rounds up), 32767 = 0x7fff, -32767 = 0x8001.
  assert.deepEqual([...bytes], [0x00, 0x00, 0x00, 0x40, 0xff, 0x7f, 0x01, 0x80]);
});

const segment = (start: number, end: number, final: boolean): LiveSegment => ({
  start,
  end,
  final,
  label: "anger",
  confidence: 1,
  sure: true,
  doubt: "",
  probabilities: {},
});

test("what is not final is replaced, what is final stays", () => {
  const sent = [
    segment(0, 1, false),
    segment(1, 2, false), // of the same moment as the one before
    segment(0, 1, true), // the next moment: the first is settled, and
    segment(1, 2.5, false), // the second goes on
    segment(1, 3, false),
  ];
  const kept = sent.reduce<LiveSegment[]>(withSegment, []);
  assert.deepEqual(kept, [sent[2], sent[4]]);
  assert.deepEqual(sent.slice(0, 2).reduce<LiveSegment[]>(withSegment, []), sent.slice(0, 2));
});
