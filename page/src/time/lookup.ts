import type { Segment, Window } from "../api/types";

/**
 * The window that stands for a time. Windows overlap; each stands for what it adds to the one before, as in the
 * segments: the time from that one's end to its own.
 */
export function windowAt(windows: readonly Window[], time: number): Window | undefined {
  let low = 0;
  let high = windows.length - 1;
  while (low < high) {
    const half = (low + high) >> 1;
    if (windows[half]!.end <= time) low = half + 1;
    else high = half;
  }
  return windows[low];
}

/** Index of the segment that a time lies in, or -1. */
export function segmentAt(segments: readonly Segment[], time: number): number {
  return segments.findIndex(({ start, end }) => start <= time && time < end);
}

/** A stretch of time in which two timelines both have a segment. */
export interface Overlap {
  channel: number | null | undefined;
  start: number;
  end: number;
  /** What the first and the second say. */
  labels: [string, string];
}

/** Where two timelines both found speech, channel by channel. */
export function overlaps(first: readonly Segment[], second: readonly Segment[]): Overlap[] {
  const found: Overlap[] = [];
  for (const channel of new Set(first.map((segment) => segment.channel))) {
    const [ours, theirs] = [first, second].map((all) => all.filter((segment) => segment.channel === channel)) as [
      Segment[],
      Segment[],
    ];
    for (let i = 0, j = 0; i < ours.length && j < theirs.length;) {
      const [a, b] = [ours[i]!, theirs[j]!];
      const [start, end] = [Math.max(a.start, b.start), Math.min(a.end, b.end)];
      if (start < end) found.push({ channel, start, end, labels: [a.label, b.label] });
      if (a.end <= b.end) i++;
      else j++;
    }
  }
  return found;
}

/**
 * How far two timelines agree: the share of the time in which both found speech that has the same label in both.
 *
 * @returns from 0 to 1, or null if they never found speech together
 */
export function agreement(first: readonly Segment[], second: readonly Segment[]): number | null {
  const both = overlaps(first, second);
  const together = length(both);
  return together > 0 ? length(both.filter(({ labels: [ours, theirs] }) => ours === theirs)) / together : null;
}

/** The labels of segments with their share of the time in segments, the longest first. */
export function shares(segments: readonly Segment[]): [label: string, share: number][] {
  const labels = [...new Set(segments.map(({ label }) => label))];
  const all = length(segments);
  return labels
    .map((label): [string, number] => [label, length(segments.filter((segment) => segment.label === label)) / all])
    .sort(([, one], [, other]) => other - one);
}

function length(stretches: readonly { start: number; end: number }[]): number {
  return stretches.reduce((sum, { start, end }) => sum + end - start, 0);
}
