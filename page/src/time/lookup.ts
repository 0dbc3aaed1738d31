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

/**
 * How far two timelines agree: the share of the time in which both found speech that has the same label in both, channel
 * by channel.
 *
 * @returns from 0 to 1, or null if they never found speech together
 */
export function agreement(first: readonly Segment[], second: readonly Segment[]): number | null {
  let together = 0;
  let same = 0;
  for (const channel of new Set(first.map((segment) => segment.channel))) {
    const [ours, theirs] = [first, second].map((all) => all.filter((segment) => segment.channel === channel)) as [
      Segment[],
      Segment[],
    ];
    for (let i = 0, j = 0; i < ours.length && j < theirs.length;) {
      const [a, b] = [ours[i]!, theirs[j]!];
      const overlap = Math.max(0, Math.min(a.end, b.end) - Math.max(a.start, b.start));
      together += overlap;
      if (a.label === b.label) same += overlap;
      if (a.end <= b.end) i++;
      else j++;
    }
  }
  return together > 0 ? same / together : null;
}
