import type { Range } from "./range";

const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

/** Distance of marks on a time axis, in s: the closest round step that leaves at least `apart` pixels. */
export function step({ start, end }: Range, width: number, apart: number): number {
  const least = ((end - start) / width) * apart;
  return STEPS.find((step) => step >= least) ?? STEPS.at(-1)!;
}

/** Times of the marks within the range. */
export function ticks(range: Range, width: number, apart: number = 72): number[] {
  const distance = step(range, width, apart);
  const first = Math.ceil(range.start / distance - 1e-9);
  const last = Math.floor(range.end / distance + 1e-9);
  return Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => (first + index) * distance);
}
