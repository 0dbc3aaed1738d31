/** Recognizes sound with a waveform file: whole, over time, and while it arrives. */
import type { InferenceSession, TensorConstructor } from "onnxruntime-common";
import type { Answer, Segment, Timeline, Window } from "../api/types";
import type { Detector } from "./activity";
import { digits } from "./rounding";
import { Stream, type Event, type Model } from "./stream";

/** Below this peak, -96 dB of full scale, a sound is silent. */
const SILENCE_PEAK = 0.5 / 32768;
/** Below this duration in s, it holds no syllable. */
const SHORTEST = 0.1;
/** Beyond this peak, floats are most likely integers. */
const INTEGERS = 8;
/** Samples of one piece of a file, so that long files do not block the worker. */
const PIECE = 160_000;
const TIME_DIGITS = 3;
const DIGITS = 6;

/** What the page keeps of `bundle.json`. */
export interface Facts {
  name: string;
  labels: string[];
  /** Maximum window of a timeline, in s. */
  window: number;
  /** Confidence below which an answer is unsure; null: none. */
  unsure: { threshold: number } | null;
}

/** Why an answer is not sure that is neither silent nor too short. */
export const DOUBT = "low confidence";

export class Recognizer implements Model {
  readonly labels: readonly string[];
  readonly window: number;

  constructor(
    private readonly facts: Facts,
    private readonly session: InferenceSession,
    private readonly tensor: TensorConstructor,
    private readonly newDetector: () => Detector,
  ) {
    this.labels = facts.labels;
    this.window = facts.window;
  }

  isSure(confidence: number): boolean {
    return this.facts.unsure === null || confidence >= this.facts.unsure.threshold;
  }

  async recognize(samples: Float32Array): Promise<Float32Array> {
    return (await this.run(samples)).probabilities;
  }

  /** @param samples at 16 kHz @param duration of the file in s */
  async predict(file: string, samples: Float32Array, duration: number): Promise<Answer> {
    if (!samples.length) throw new Error(`${file}: no audio in it (0 samples)`);
    const { probabilities, sure } = await this.run(samples);
    const best = probabilities.indexOf(Math.max(...probabilities));
    const peak = samples.reduce((highest, sample) => Math.max(highest, Math.abs(sample)), 0);
    const warnings = [];
    if (peak < SILENCE_PEAK) warnings.push(silent(file));
    if (peak > INTEGERS) warnings.push(`${file}: samples beyond ${INTEGERS} times full scale`);
    if (duration < SHORTEST) warnings.push(`${file}: too short for a syllable (${duration} s)`);
    return {
      file,
      label: this.labels[best]!,
      confidence: probabilities[best]!,
      sure,
      doubt: sure ? "" : peak < SILENCE_PEAK ? "silent" : duration < SHORTEST ? "too short" : DOUBT,
      probabilities: Object.fromEntries(this.labels.map((label, index) => [label, probabilities[index]!])),
      duration,
      warnings,
    };
  }

  /** @param samples at 16 kHz @param duration of the file in s */
  async timeline(file: string, samples: Float32Array, duration: number): Promise<Timeline> {
    const stream = this.stream(16000);
    const events: Event[] = [];
    for (let at = 0; at < samples.length; at += PIECE)
      events.push(...(await stream.push(samples.subarray(at, at + PIECE))));
    events.push(...(await stream.finish()));
    stream.close();
    const windows = events.filter((event) => event.type === "window").map(roundedWindow);
    const segments = events.filter((event) => event.type === "segment" && event.final).map(roundedSegment);
    const answer = await this.predict(file, samples, duration);
    const warnings = [];
    if (stream.peak < SILENCE_PEAK) warnings.push(silent(file));
    else if (!segments.length) warnings.push(`${file}: no speech found (detector 'webrtc')`);
    const { name, labels } = this.facts;
    return {
      file,
      model: name,
      duration: digits(duration, TIME_DIGITS),
      labels,
      answers: [answer],
      windows,
      segments,
      warnings: [...new Set([...warnings, ...answer.warnings])],
    };
  }

  /** @param rate of the samples that will be pushed, in Hz */
  stream(rate: number): Stream {
    return new Stream(this, this.newDetector(), rate);
  }

  private async run(samples: Float32Array): Promise<{ probabilities: Float32Array; sure: boolean }> {
    const found = await this.session.run({ samples: new this.tensor("float32", samples, [1, samples.length]) });
    return { probabilities: found.probabilities!.data as Float32Array, sure: Boolean(found.sure!.data[0]) };
  }
}

function silent(file: string): string {
  return `${file}: silent (no sample above -96 dB of full scale)`;
}

function roundedWindow(event: Event): Window {
  const { start, end, speech, probabilities } = event as Window;
  return {
    start: digits(start, TIME_DIGITS),
    end: digits(end, TIME_DIGITS),
    speech: digits(speech, TIME_DIGITS),
    probabilities: probabilities && rounded(probabilities),
  };
}

function roundedSegment(event: Event): Segment {
  const { start, end, label, sure, doubt, confidence, probabilities } = event as Segment;
  return {
    start: digits(start, TIME_DIGITS),
    end: digits(end, TIME_DIGITS),
    label,
    sure,
    doubt,
    confidence: digits(confidence, DIGITS),
    probabilities: rounded(probabilities),
  };
}

function rounded(probabilities: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(probabilities).map(([label, value]) => [label, digits(value, DIGITS)]));
}
