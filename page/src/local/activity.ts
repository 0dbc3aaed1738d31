/** Where speech begins and ends; the same rules as `serkit.recognition.activity`, to the frame. */
import { round } from "./rounding";

/** Sampling rate of all detectors in Hz. */
export const RATE = 16000;

/** Speech in s among the last frames that starts a stretch; a click is shorter. */
const ONSET_SECONDS = 0.16;
const ONSET_SHARE = 0.75;

/** Detects speech frame by frame; it keeps state between frames. */
export interface Detector {
  /** Samples of a frame at 16 kHz. */
  readonly frame: number;
  isSpeech(frame: Float32Array): boolean;
  close(): void;
}

/** A stretch of speech from `start` to the end of its last speech, in s. */
export interface Region {
  start: number;
  end: number;
}

/** Finds the stretches of speech in a stream of samples. */
export class Activity {
  /** The current stretch, if any. */
  region: Region | null = null;
  private readonly seconds: number;
  private readonly onset: number;
  private readonly kept: number;
  private flags: boolean[] = [];
  private frames = 0;
  private rest = new Float32Array(0);

  /**
   * @param pause time without speech that ends a stretch, in s
   * @param memory time before now that `share` can return, in s
   */
  constructor(
    private readonly detector: Detector,
    private readonly pause: number,
    memory: number,
  ) {
    this.seconds = detector.frame / RATE;
    this.onset = Math.max(1, round(ONSET_SECONDS / this.seconds));
    this.kept = Math.max(this.onset, Math.ceil(memory / this.seconds) + 1);
  }

  /** Processes the next samples at 16 kHz; returns the stretches that have ended. */
  hear(samples: Float32Array): Region[] {
    const all = new Float32Array(this.rest.length + samples.length);
    all.set(this.rest);
    all.set(samples, this.rest.length);
    const { frame } = this.detector;
    const whole = all.length - (all.length % frame);
    const ended: Region[] = [];
    for (let at = 0; at < whole; at += frame) {
      const region = this.follow(this.detector.isSpeech(all.subarray(at, at + frame)));
      if (region) ended.push(region);
    }
    this.rest = all.slice(whole);
    return ended;
  }

  /** Ends the current stretch. */
  finish(): Region[] {
    const ended = this.region;
    this.region = null;
    return ended ? [ended] : [];
  }

  /** The share of speech frames between two times in s, from 0 to 1. */
  share(start: number, end: number): number {
    const oldest = this.frames - this.flags.length;
    const first = Math.max(0, round(start / this.seconds) - oldest);
    const last = Math.min(this.flags.length, round(end / this.seconds) - oldest);
    return this.flags.slice(first, Math.max(first, last)).filter(Boolean).length / Math.max(1, last - first);
  }

  /** Processes a frame; returns the stretch that ends with it, if any. */
  private follow(speech: boolean): Region | null {
    this.frames += 1;
    this.flags.push(speech);
    if (this.flags.length > this.kept) this.flags.shift();
    const now = this.frames * this.seconds;
    if (this.region === null) {
      if (speech) this.region = this.begin(now);
    } else if (speech) {
      this.region.end = now;
    } else if (now - this.region.end >= this.pause - 1e-9) {
      const ended = this.region;
      this.region = null;
      return ended;
    }
    return null;
  }

  /** Starts a stretch if enough of the last frames are speech. */
  private begin(now: number): Region | null {
    const recent = this.flags.slice(-this.onset);
    if (recent.filter(Boolean).length < ONSET_SHARE * this.onset) return null;
    return { start: now - (recent.length - recent.indexOf(true)) * this.seconds, end: now };
  }
}
