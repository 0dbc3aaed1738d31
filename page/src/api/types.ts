/** What the server answers, field by field. Times in s, probabilities from 0 to 1. */

export type Probabilities = Record<string, number>;

export interface Score {
  corpus: string;
  protocol: string;
  metric: string;
  value: number;
  low?: number | null;
  high?: number | null;
}

export interface Model {
  name: string;
  labels: string[];
  languages: string[];
  licence: string;
  trained_on: string[];
  parameters: number;
  megabytes: number;
  scores: Score[];
  default: boolean;
  /** Markdown. */
  card: string;
}

export interface Prediction {
  file: string;
  model: string;
  label: string;
  confidence: number;
  /** False if the confidence is below the threshold of the model. */
  sure: boolean;
  probabilities: Probabilities;
  duration: number;
  warnings: string[];
}

export interface Window {
  start: number;
  end: number;
  /** Share of the window in which somebody speaks. */
  speech: number;
  /** None where nobody does. */
  probabilities: Probabilities | null;
}

export interface Segment {
  start: number;
  end: number;
  label: string;
  /** False if the confidence is below the threshold of the model. */
  sure: boolean;
  confidence: number;
  probabilities: Probabilities;
}

export interface Timeline {
  file: string;
  model: string;
  duration: number;
  labels: string[];
  windows: Window[];
  segments: Segment[];
  warnings: string[];
}

/** From the end of a window to its result, inside the server, in ms; null before the first. */
export interface Latency {
  p50: number | null;
  p95: number | null;
}

export interface LiveSegment extends Segment {
  /** False while it goes on and may still change. */
  final: boolean;
}

/** Messages of the live stream. */
export type StreamMessage =
  | { type: "ready"; model: string; labels: string[]; rate: number; window: number; hop: number }
  | ({ type: "window"; latency_ms: number } & Window)
  | ({ type: "segment" } & LiveSegment)
  | { type: "statistics"; received_s: number; dropped_s: number; latency_ms: Latency }
  | { type: "error"; error: string };
