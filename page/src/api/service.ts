import type { Channel, Model, StreamMessage, Timeline } from "./types";

export interface Sound {
  blob: Blob;
  name: string;
}

/** A live stream: samples in, messages out. */
export interface LiveStream {
  /** @param samples mono, full scale 1.0 */
  send(samples: Float32Array): void;
  /** Ends the sound and waits for the last results. */
  finish(): Promise<void>;
  close(): void;
}

/** What recognizes: a server, or the browser itself. Where there is no answer, an Error says why in one line to show. */
export interface Service {
  /** Where the sound is recognized. */
  readonly place: "server" | "browser";
  /** Names of the formats of `timelineFile`. */
  readonly formats: readonly string[];
  models(): Promise<Model[]>;
  timeline(sound: Sound, model: string, channel: Channel, signal: AbortSignal): Promise<Timeline>;
  /** The timeline as a file. */
  timelineFile(sound: Sound, model: string, channel: Channel, format: string): Promise<Blob>;
  /** @param rate of the samples, in Hz @param onLost called when the stream ends before `finish` */
  stream(
    model: string,
    rate: number,
    onMessage: (message: StreamMessage) => void,
    onLost: () => void,
  ): Promise<LiveStream>;
}
