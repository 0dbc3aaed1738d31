import type { Samples } from "./samples";

/** The last seconds of a stream: old samples are forgotten, so that an hour of listening takes no more memory. */
export class Rolling {
  private readonly ring: Float32Array;
  private received = 0;

  /** @param rate in Hz @param seconds kept */
  constructor(
    readonly rate: number,
    seconds: number,
  ) {
    this.ring = new Float32Array(Math.round(rate * seconds));
  }

  /** Time of the newest sample, in s. */
  get now(): number {
    return this.received / this.rate;
  }

  push(chunk: Float32Array): void {
    const start = this.received % this.ring.length;
    const fits = Math.min(chunk.length, this.ring.length - start);
    this.ring.set(chunk.subarray(0, fits), start);
    this.ring.set(chunk.subarray(fits), 0);
    this.received += chunk.length;
  }

  /** What is kept, oldest first. */
  samples(): Samples {
    const kept = Math.min(this.received, this.ring.length);
    const from = (this.received - kept) / this.rate;
    if (this.received <= this.ring.length) return { rate: this.rate, from, values: this.ring.slice(0, kept) };
    const oldest = this.received % this.ring.length;
    const values = new Float32Array(kept);
    values.set(this.ring.subarray(oldest));
    values.set(this.ring.subarray(0, oldest), kept - oldest);
    return { rate: this.rate, from, values };
  }
}
