import assert from "node:assert/strict";
import { test } from "node:test";
import type { Segment, Window } from "../src/api/types";
import { runs } from "../src/draw/probability";
import { clock, spoken } from "../src/time/clock";
import { agreement, segmentAt, windowAt } from "../src/time/lookup";
import { TimeView } from "../src/time/range";
import { ticks } from "../src/time/ticks";

test("a clock carries tenths, minutes and hours", () => {
  assert.equal(clock(7.44), "0:07.4");
  assert.equal(clock(59.96), "1:00.0");
  assert.equal(clock(3723), "1:02:03.0");
  assert.equal(clock(61.4, 0), "1:01");
});

test("a spoken time names its units", () => {
  assert.equal(spoken(0), "0 seconds");
  assert.equal(spoken(1), "1 second");
  assert.equal(spoken(62.5), "1 minute 2.5 seconds");
  assert.equal(spoken(7200), "2 hours");
});

test("ticks are round, inside the range and not too close", () => {
  assert.deepEqual(ticks({ start: 3, end: 13 }, 400, 72), [4, 6, 8, 10, 12]);
  assert.deepEqual(ticks({ start: 0, end: 3600 }, 400, 72), [0, 1800, 3600]);
});

const window = (end: number, anger: number | null): Window => ({
  start: Math.max(0, end - 2),
  end,
  speech: 1,
  probabilities: anger === null ? null : { anger },
});

test("a window stands for the time since the end of the one before", () => {
  const windows = [window(0.5, 1), window(1, 0), window(1.5, 1)];
  assert.deepEqual(
    [0, 0.4, 0.5, 1.2, 99].map((time) => windows.indexOf(windowAt(windows, time)!)),
    [0, 0, 1, 2, 2],
  );
  assert.equal(windowAt([], 1), undefined);
});

test("cells that follow each other are one run; a window without speech ends it", () => {
  const found = runs([window(0.5, 0.1), window(1, 0.2), window(1.5, null), window(2, 0.3)]);
  assert.deepEqual(
    found.map((run) => run.map(({ begin, end }) => [begin, end])),
    [
      [
        [0, 0.5],
        [0.5, 1],
      ],
      [[1.5, 2]],
    ],
  );
});

const segment = (start: number, end: number, label: string): Segment => ({
  start,
  end,
  label,
  confidence: 1,
  sure: true,
  doubt: "",
  probabilities: {},
});

test("a segment begins at its start and ends before its end", () => {
  const segments = [segment(1, 2, "anger"), segment(2, 3, "fear")];
  assert.deepEqual(
    [0.5, 1, 2, 3].map((time) => segmentAt(segments, time)),
    [-1, 0, 1, -1],
  );
});

test("agreement counts only the time in which both found speech", () => {
  const first = [segment(0, 4, "anger"), segment(6, 8, "fear")];
  const second = [segment(1, 2, "anger"), segment(2, 5, "fear"), segment(7, 9, "fear")];
  // Together 1-4 and 7-8; the same in 1-2 and 7-8.
  assert.equal(agreement(first, second), 2 / 4);
  assert.equal(agreement(first, [segment(4, 6, "anger")]), null);
  // One that lies beside two of the other.
  assert.equal(agreement([segment(0, 1, "anger"), segment(1, 4, "fear")], [segment(0, 4, "fear")]), 3 / 4);
});

test("zooming leaves the time under the pointer in its place and stops at the ends", () => {
  const view = new TimeView(10);
  view.zoom(2, 8);
  assert.deepEqual(view.range.value, { start: 4, end: 9 });
  view.pan(5);
  assert.deepEqual(view.range.value, { start: 5, end: 10 });
  view.zoom(1 / 4, 6);
  assert.deepEqual(view.range.value, { start: 0, end: 10 });
  assert.ok(view.whole);
});

test("following turns the page only when the time has left the screen", () => {
  const view = new TimeView(100);
  view.zoom(10, 0);
  view.follow(9.9);
  assert.deepEqual(view.range.value, { start: 0, end: 10 });
  view.follow(20);
  assert.deepEqual(view.range.value, { start: 19.5, end: 29.5 });
});

test("nothing shorter than half a second can be looked at", () => {
  const view = new TimeView(10);
  view.zoom(1000, 5);
  assert.deepEqual(view.range.value, { start: 4.75, end: 5.25 });
});
