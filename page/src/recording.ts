import { signal } from "@preact/signals";
import type { Sound } from "./api/service";
import { Microphone } from "./sound/microphone";
import { wav } from "./sound/wav";

/** A recording in progress. It stays in the browser until it is opened. */
export class Recording {
  /** In s. */
  readonly length = signal(0);
  /** Largest value of the last chunk, from 0 to 1. */
  readonly level = signal(0);
  private readonly chunks: Float32Array[] = [];

  private constructor(private readonly microphone: Microphone) {
    microphone.listen((samples) => {
      this.chunks.push(samples);
      this.length.value += samples.length / microphone.rate;
      this.level.value = samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0);
    });
  }

  /** @throws Error if the microphone cannot be used */
  static async start(): Promise<Recording> {
    return new Recording(await Microphone.open());
  }

  /** What was recorded so far. */
  sound(): Sound {
    const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
    return { blob: wav(this.chunks, this.microphone.rate), name: `recording ${time}.wav` };
  }

  close(): void {
    this.microphone.close();
  }
}
