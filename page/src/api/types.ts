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

export interface Answer {
  file: string;
  /** Null without a choice of channels. */
  channel?: number | null;
  label: string;
  confidence: number;
  sure: boolean;
  /** Why it is not sure; empty if it is. */
  doubt: string;
  probabilities: Probabilities;
  duration: number;
  warnings: string[];
}

export interface Window {
  channel?: number | null;
  start: number;
  end: number;
  /** Share of the window in which somebody speaks. */
  speech: number;
  /** None where nobody does. */
  probabilities: Probabilities | null;
}

export interface Segment {
  channel?: number | null;
  start: number;
  end: number;
  label: string;
  sure: boolean;
  /** Why it is not sure; empty if it is. */
  doubt: string;
  confidence: number;
  probabilities: Probabilities;
}

export interface Timeline {
  file: string;
  model: string;
  duration: number;
  labels: string[];
  /** Only of a timeline of each channel. */
  channels?: number[] | null;
  /** For the whole sound, or for each of the channels. */
  answers: Answer[];
  windows: Window[];
  segments: Segment[];
  warnings: string[];
}

/** A channel, counted from 0; each separately; or null for what the model was made for. */
export type Channel = number | "each" | null;

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
