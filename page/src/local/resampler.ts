/** Changes the sampling rate of a stream with a windowed sinc, one filter for each phase between two samples. */

/** Zero crossings of the sinc on each side: a transition of about 5 % of the band, and below -90 dB beyond it. */
const CROSSINGS = 64;
const KAISER_BETA = 9;
/** Corner as a share of the lower half rate. */
const CORNER = 0.957;
/** With more phases, the table would be large: then positions are rounded down to a phase. */
const MOST_PHASES = 1024;

export class Resampler {
  private readonly step: number;
  private readonly phases: number;
  private readonly half: number;
  private readonly filters: Float32Array[];
  /** Samples from position `begin` on; before the first sample there are zeros. */
  private kept: Float32Array;
  private begin: number;
  private received = 0;
  private made = 0;

  /** @param from rate of the samples pushed, in Hz @param to rate of the samples returned */
  constructor(
    private readonly from: number,
    private readonly to: number,
  ) {
    this.step = from / to;
    this.phases = Math.min(to / divisor(from, to), MOST_PHASES);
    const corner = CORNER * Math.min(1, to / from);
    this.half = Math.ceil(CROSSINGS / corner);
    this.filters = from === to ? [] : Array.from({ length: this.phases }, (_, phase) => this.filter(phase, corner));
    this.kept = new Float32Array(this.half);
    this.begin = -this.half;
  }

  /** Takes the next samples; returns those that can be computed, which does not depend on how the input is cut. */
  push(samples: Float32Array): Float32Array {
    this.received += samples.length;
    if (this.from === this.to) return samples;
    this.append(samples);
    return this.make(Math.ceil((this.received - this.half) / this.step));
  }

  /** Returns the rest: as many samples as the duration holds. */
  finish(): Float32Array {
    if (this.from === this.to) return new Float32Array(0);
    this.append(new Float32Array(this.half + 1));
    return this.make(Math.round(this.received / this.step));
  }

  private append(samples: Float32Array): void {
    const needed = Math.floor(this.made * this.step) - this.half;
    const old = this.kept.subarray(Math.max(0, needed - this.begin));
    const joined = new Float32Array(old.length + samples.length);
    joined.set(old);
    joined.set(samples, old.length);
    this.begin += this.kept.length - old.length;
    this.kept = joined;
  }

  /** Computes the samples up to number `end`. */
  private make(end: number): Float32Array {
    const values = new Float32Array(Math.max(0, end - this.made));
    for (let index = 0; index < values.length; index++, this.made++) {
      // In whole numbers, so that no position depends on rounding.
      const numerator = this.made * this.from;
      const past = numerator % this.to;
      const filter = this.filters[Math.floor((past * this.phases) / this.to)]!;
      const first = (numerator - past) / this.to - this.half + 1 - this.begin;
      let sum = 0;
      for (let tap = 0; tap < filter.length; tap++) sum += filter[tap]! * this.kept[first + tap]!;
      values[index] = sum;
    }
    return values;
  }

  /** The weights of the samples `1 - half` to `half` around a position `phase / phases` after sample 0. */
  private filter(phase: number, corner: number): Float32Array {
    const weights = Float64Array.from({ length: 2 * this.half }, (_, tap) => {
      const distance = tap - this.half + 1 - phase / this.phases;
      const share = Math.min(1, Math.abs(distance) / this.half);
      return (
        corner * sinc(corner * distance) * (bessel(KAISER_BETA * Math.sqrt(1 - share * share)) / bessel(KAISER_BETA))
      );
    });
    // A constant remains what it is.
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return Float32Array.from(weights, (weight) => weight / sum);
  }
}

function sinc(value: number): number {
  return value === 0 ? 1 : Math.sin(Math.PI * value) / (Math.PI * value);
}

/** The modified Bessel function of order 0, by its power series. */
function bessel(value: number): number {
  let sum = 1;
  for (let term = 1, k = 1; term > 1e-12 * sum; k++) sum += term *= (value / 2 / k) ** 2;
  return sum;
}

function divisor(a: number, b: number): number {
  return b === 0 ? a : divisor(b, a % b);
}
