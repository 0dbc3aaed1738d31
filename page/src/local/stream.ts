/** Recognizes a sound while it arrives; the same rules as `serkit.recognition.stream`. */
import type { LiveSegment, Probabilities, Window } from "../api/types";
import { Activity, RATE, type Detector, type Region } from "./activity";
import { Resampler } from "./resampler";
import { round } from "./rounding";
import { Segmenter } from "./segmenter";

/** Defaults of `TimelineOptions`: times in s, the cost of a change in nats times seconds. */
const HOP = 0.5;
const PAUSE = 0.6;
const LOOKAHEAD = 1.0;
const CHANGE = 1.0;

/** Minimum length of a window in s, even if speech has just begun. */
const SHORTEST_WINDOW = 1.0;

/** A last window shorter than this is due to rounding. */
const NO_TAIL = 1e-4;

/** Of one window: probabilities in the order of the labels, that it holds speech, distance from the training data. */
export interface Recognized {
  probabilities: Float32Array;
  speech: number;
  distance: number;
}

/** What recognizes one window of samples at 16 kHz: a probability for each label. */
export interface Model {
  readonly labels: readonly string[];
  /** Length of a window in s. */
  readonly window: number;
  /** Temperature that brings its log probabilities closer together; 1: none. The cost of a change is divided by it. */
  readonly flattening: number;
  /** Why an answer of windows is not sure; empty if it is. */
  doubt(confidence: number, speech: number, distance: number): string;
  recognize(samples: Float32Array): Promise<Recognized>;
}

export type Event = ({ type: "window" } & Window) | ({ type: "segment" } & LiveSegment);

/** A window ends every half second, and holds the latest speech. Results do not depend on how the samples are cut. */
export class Stream {
  static readonly hop = HOP;
  /** Largest magnitude so far; full scale is 1.0. */
  peak = 0;
  /** Samples at the rate of the source. */
  received = 0;
  private readonly resampler: Resampler;
  private readonly activity: Activity;
  private readonly segmenter: Segmenter;
  private samples = new Float32Array(0);
  /** Position of the first of `samples`. */
  private begin = 0;
  /** Of the last window, in s. */
  private end = 0;
  private windows = 0;
  private segmented: Region | null = null;
  /** End of the last window that was examined for speech, in s, and its probability. */
  private examined = -Infinity;
  private spoken = 1;

  /** @param rate of the source, in Hz */
  constructor(
    private readonly model: Model,
    private readonly detector: Detector,
    private readonly rate: number,
  ) {
    this.resampler = new Resampler(rate, RATE);
    this.activity = new Activity(detector, PAUSE, model.window);
    const change = CHANGE / model.flattening;
    this.segmenter = new Segmenter(model.labels, round(LOOKAHEAD / HOP), change, (...known) => model.doubt(...known));
  }

  /** Processes the next samples; returns new windows, final segments, and open segments that replace earlier ones. */
  async push(samples: Float32Array): Promise<Event[]> {
    for (const sample of samples) this.peak = Math.max(this.peak, Math.abs(sample));
    this.received += samples.length;
    this.keep(this.resampler.push(samples));
    return this.advance();
  }

  /** Ends the stream; returns its last windows and segments. */
  async finish(): Promise<Event[]> {
    this.keep(this.resampler.finish());
    const events = await this.advance();
    const duration = this.received / this.rate;
    if (duration - this.end > NO_TAIL) events.push(...(await this.step(duration)));
    for (const ended of this.activity.finish()) events.push(...named(this.segmenter.finish(ended.end)));
    return events;
  }

  /** Lets go of the detector. */
  close(): void {
    this.detector.close();
  }

  private keep(samples: Float32Array): void {
    const joined = new Float32Array(this.samples.length + samples.length);
    joined.set(this.samples);
    joined.set(samples, this.samples.length);
    this.samples = joined;
  }

  /** Processes every window that is complete. */
  private async advance(): Promise<Event[]> {
    const events: Event[] = [];
    for (let end = HOP; ;) {
      end = (this.windows + 1) * HOP;
      if (this.begin + this.samples.length < round(end * RATE)) break;
      events.push(...(await this.step(end)));
    }
    this.forget(this.end - this.model.window - SHORTEST_WINDOW);
    return events;
  }

  private forget(before: number): void {
    const cut = Math.max(0, Math.min(round(before * RATE) - this.begin, this.samples.length));
    this.samples = this.samples.slice(cut);
    this.begin += cut;
  }

  private between(start: number, end: number): Float32Array {
    const [first, last] = [start, end].map((second) => Math.max(0, round(second * RATE) - this.begin));
    return this.samples.subarray(first, last);
  }

  /** Advances to the window that ends at `end` s. */
  private async step(end: number): Promise<Event[]> {
    const begin = this.end;
    this.end = end;
    this.windows += 1;
    const events: Event[] = [];
    for (const ended of this.activity.hear(this.between(begin, end)))
      events.push(...named(this.segmenter.finish(ended.end)));
    const [start, probabilities, distance] = await this.recognize(begin, end);
    const speech = this.activity.share(start, end);
    events.push({ type: "window", start, end, speech, probabilities: probabilities && this.byLabel(probabilities) });
    const { region } = this.activity;
    if (probabilities !== null && region !== null) {
      const first = region !== this.segmented;
      this.segmented = region;
      events.push(
        ...named(this.segmenter.add(first ? region.start : begin, end, probabilities, this.spoken, distance)),
      );
      events.push(...named(this.segmenter.preview(region.end)));
    }
    return events;
  }

  /** Recognizes the window that ends at `end`, if there is speech after `begin`; also returns its start. */
  private async recognize(begin: number, end: number): Promise<[number, number[] | null, number]> {
    const start = Math.max(0, end - this.model.window);
    const { region } = this.activity;
    if (region === null || region.end <= begin) return [start, null, 0];
    const first = Math.max(start, Math.min(region.start, end - SHORTEST_WINDOW));
    const found = await this.model.recognize(this.between(first, end).slice());
    // Each moment is examined once, not by all windows that contain it.
    if (region !== this.segmented || end - this.examined >= this.model.window - 1e-9) {
      this.examined = end;
      this.spoken = found.speech;
    }
    return [first, [...found.probabilities], found.distance];
  }

  private byLabel(probabilities: number[]): Probabilities {
    return Object.fromEntries(this.model.labels.map((label, index) => [label, probabilities[index]!]));
  }
}

function named(segments: LiveSegment[]): Event[] {
  return segments.map((segment) => ({ type: "segment", ...segment }));
}
