import type { Samples } from "../sound/samples";

/** Samples per block of the overview: 16 ms at 16 kHz, narrower than a pixel of any long view. */
const BLOCK = 256;

/** Smallest and largest values of a sound over any stretch, fast enough for an hour in one picture. */
export class Envelope {
  private readonly lows: Float32Array;
  private readonly highs: Float32Array;
  /** Largest absolute value. */
  readonly peak: number;

  constructor(readonly samples: Samples) {
    const { values } = samples;
    const blocks = Math.ceil(values.length / BLOCK);
    this.lows = new Float32Array(blocks);
    this.highs = new Float32Array(blocks);
    for (let block = 0; block < blocks; block++) {
      const [low, high] = extremes(values, block * BLOCK, Math.min(values.length, (block + 1) * BLOCK));
      this.lows[block] = low;
      this.highs[block] = high;
    }
    this.peak = this.highs.reduce((peak, high, block) => Math.max(peak, high, -this.lows[block]!), 0);
  }

  /** @param start in s @param end in s @returns null where there is no sound */
  between(start: number, end: number): [low: number, high: number] | null {
    const { rate, from, values } = this.samples;
    const first = Math.max(0, Math.floor((start - from) * rate));
    const last = Math.min(values.length, Math.ceil((end - from) * rate));
    if (first >= last) return null;
    if (last - first < 2 * BLOCK) return extremes(values, first, last);
    const [firstBlock, lastBlock] = [Math.floor(first / BLOCK), Math.ceil(last / BLOCK)];
    return [extremes(this.lows, firstBlock, lastBlock)[0], extremes(this.highs, firstBlock, lastBlock)[1]];
  }
}

function extremes(values: Float32Array, first: number, last: number): [number, number] {
  let low = values[first]!;
  let high = low;
  for (let index = first + 1; index < last; index++) {
    const value = values[index]!;
    if (value < low) low = value;
    else if (value > high) high = value;
  }
  return [low, high];
}
