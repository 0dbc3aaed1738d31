/** What the page and its worker say to each other. */
import type { StreamMessage, Timeline } from "../api/types";

/** A question to the worker; every question has one answer, with the same number. */
export type Question = { id: number } & (
  | { kind: "timeline"; model: string; file: string; samples: Float32Array; duration: number }
  | { kind: "open"; model: string; rate: number }
  | { kind: "push"; stream: number; samples: Float32Array }
  | { kind: "finish" | "close"; stream: number }
);

export type Answer =
  | { id: number; error: string }
  | { id: number; result: Timeline | null }
  /** Of a stream, which has the number of the question that opened it. */
  | { id: number; message: StreamMessage };
