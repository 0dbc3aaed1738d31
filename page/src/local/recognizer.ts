/** Recognizes sound with a waveform file: whole, over time, and while it arrives. */
import type { InferenceSession, TensorConstructor } from "onnxruntime-common";
import type { Answer, Segment, Timeline, Window } from "../api/types";
import type { Detector } from "./activity";
import { digits } from "./rounding";
import { Stream, type Event, type Model, type Recognized } from "./stream";

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
  /** Temperature of its calibration; null: none. */
  temperature: number | null;
  /** Confidence below which an answer is unsure; null: none. */
  unsure: { threshold: number } | null;
  /** Distances from the training recordings from which an answer is unlike them: of a recording, of a window. */
  familiar?: { threshold: number; window_threshold: number } | null;
}

/** Probability of speech from which a window holds speech. */
const SPEECH = 0.06;

/** Below it, as in Python, an answer is not sure. */
const CERTAIN = 0.63;

/** Why an answer is not sure that is not doubtful otherwise. */
export const DOUBT = "low confidence";

export class Recognizer implements Model {
  readonly labels: readonly string[];
  readonly window: number;
  readonly flattening: number;

  constructor(
    private readonly facts: Facts,
    private readonly session: InferenceSession,
    private readonly tensor: TensorConstructor,
    private readonly newDetector: () => Detector,
  ) {
    this.labels = facts.labels;
    this.window = facts.window;
    this.flattening = Math.max(1, facts.temperature ?? 1);
  }

  doubt(
    confidence: number,
    speech: number,
    distance: number,
    threshold = this.facts.familiar?.window_threshold,
  ): string {
    if (speech < SPEECH) return "no speech";
    if (threshold !== undefined && distance > threshold) return "unlike the training data";
    if (speech < CERTAIN) return "perhaps no speech";
    return this.facts.unsure && confidence < this.facts.unsure.threshold ? DOUBT : "";
  }

  async recognize(samples: Float32Array): Promise<Recognized> {
    const found = await this.session.run({ samples: new this.tensor("float32", samples, [1, samples.length]) });
    return {
      probabilities: found.probabilities!.data as Float32Array,
      speech: found.speech!.data[0] as number,
      distance: found.distance!.data[0] as number,
    };
  }

  /** @param samples at 16 kHz @param duration of the file in s */
  async predict(file: string, samples: Float32Array, duration: number): Promise<Answer> {
    if (!samples.length) throw new Error(`${file}: no audio in it (0 samples)`);
    const { probabilities, speech, distance } = await this.recognize(samples);
    const best = probabilities.indexOf(Math.max(...probabilities));
    const peak = samples.reduce((highest, sample) => Math.max(highest, Math.abs(sample)), 0);
    const warnings = [];
    if (peak < SILENCE_PEAK) warnings.push(silent(file));
    if (peak > INTEGERS) warnings.push(`${file}: samples beyond ${INTEGERS} times full scale`);
    if (duration < SHORTEST) warnings.push(`${file}: too short for a syllable (${duration} s)`);
    const unlike = this.facts.familiar?.threshold;
    const doubt =
      peak < SILENCE_PEAK
        ? "silent"
        : duration < SHORTEST
          ? "too short"
          : this.doubt(probabilities[best]!, speech, distance, unlike);
    return {
      file,
      label: this.labels[best]!,
      confidence: probabilities[best]!,
      sure: !doubt,
      doubt,
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
