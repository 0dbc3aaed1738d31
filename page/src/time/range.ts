import { signal } from "@preact/signals";

/** A stretch of time, in s. */
export interface Range {
  start: number;
  end: number;
}

/** Nothing shorter can be looked at, in s. */
const CLOSEST = 0.5;

/** The stretch of a sound that is on the screen; what is drawn follows `range`. */
export class TimeView {
  readonly range = signal<Range>({ start: 0, end: 1 });

  /** @param duration of the whole sound, in s */
  constructor(readonly duration: number) {
    this.fit();
  }

  fit(): void {
    this.range.value = { start: 0, end: Math.max(this.duration, CLOSEST) };
  }

  get whole(): boolean {
    const { start, end } = this.range.value;
    return start <= 0 && end >= this.duration;
  }

  /** @param factor above 1 looks closer @param around time that stays where it is */
  zoom(factor: number, around: number): void {
    const { start, end } = this.range.peek();
    const length = Math.max(CLOSEST, (end - start) / factor);
    const place = (around - start) / (end - start);
    this.show(around - place * length, length);
  }

  pan(seconds: number): void {
    const { start, end } = this.range.peek();
    this.show(start + seconds, end - start);
  }

  /** Turns the page when a time has left the screen. */
  follow(time: number): void {
    const { start, end } = this.range.peek();
    if (time < start || time > end) this.show(time - 0.05 * (end - start), end - start);
  }

  private show(start: number, length: number): void {
    const whole = Math.max(this.duration, CLOSEST);
    const shown = Math.min(length, whole);
    const first = Math.max(0, Math.min(start, whole - shown));
    this.range.value = { start: first, end: first + shown };
  }
}

/** Place of a time, from 0 (the range's start) to 1 (its end). */
export function place(time: number, { start, end }: Range): number {
  return (time - start) / (end - start);
}

export function timeAt(place: number, { start, end }: Range): number {
  return start + place * (end - start);
}
