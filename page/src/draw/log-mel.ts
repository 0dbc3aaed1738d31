import FFT from "fft.js";
import type { Samples } from "../sound/samples";

/** As many bands as the bundled recognisers listen to, between the same limits in Hz. */
export const BANDS = 64;
export const LOWEST = 60;
export const HIGHEST = 7800;

/** Length of a frame, in s: about 30 ms, two or three glottal periods of a low voice. */
const FRAME_S = 0.032;
/** -100 dB: below the noise floor of 16-bit sound. */
const FLOOR = 1e-10;

/** Log-mel spectrogram of single moments; a picture needs one per pixel, however long the sound. */
export class LogMel {
  private readonly size: number;
  private readonly fft: FFT;
  private readonly window: Float32Array;
  private readonly spectrum: number[];
  private readonly frame: number[];
  private readonly edges: number[];

  /** @param rate of the sound, in Hz */
  constructor(private readonly rate: number) {
    this.size = 2 ** Math.round(Math.log2(FRAME_S * rate));
    this.fft = new FFT(this.size);
    this.window = Float32Array.from(
      { length: this.size },
      (_, n) => 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / this.size),
    );
    this.spectrum = this.fft.createComplexArray();
    this.frame = new Array(this.size).fill(0);
    this.edges = melEdges().map((hertz) => (hertz * this.size) / rate);
  }

  /**
   * @param time of the frame's middle, in s
   * @param column takes the level of each band in dB, lowest band first; a full-scale sine has about 0 dB
   */
  at(samples: Samples, time: number, column: Float32Array): void {
    const first = Math.round((time - samples.from) * this.rate) - this.size / 2;
    for (let n = 0; n < this.size; n++) this.frame[n] = (samples.values[first + n] ?? 0) * this.window[n]!;
    this.fft.realTransform(this.spectrum, this.frame);
    for (let band = 0; band < BANDS; band++) column[band] = 10 * Math.log10(Math.max(FLOOR, this.energy(band)));
  }

  /** Energy under a triangle that rises from one edge to the next and falls to the one after. */
  private energy(band: number): number {
    const [low, peak, high] = this.edges.slice(band, band + 3) as [number, number, number];
    let sum = 0;
    for (let bin = Math.max(1, Math.ceil(low)); bin <= Math.min(high, this.size / 2); bin++) {
      const weight = bin < peak ? (bin - low) / (peak - low) : (high - bin) / (high - peak);
      sum += weight * (this.spectrum[2 * bin]! ** 2 + this.spectrum[2 * bin + 1]! ** 2);
    }
    // A band narrower than a bin can fall between two of them: it then takes the nearest.
    const bin = Math.round(peak);
    if (sum === 0) sum = this.spectrum[2 * bin]! ** 2 + this.spectrum[2 * bin + 1]! ** 2;
    return sum / (this.size / 4) ** 2;
  }
}

/** Edges of the bands in Hz, at equal distances in mel (O'Shaughnessy: 2595 log10(1 + f / 700)). */
export function melEdges(): number[] {
  const [low, high] = [mel(LOWEST), mel(HIGHEST)];
  return Array.from({ length: BANDS + 2 }, (_, edge) => hertz(low + ((high - low) * edge) / (BANDS + 1)));
}

/** Place of a frequency in the picture, from 0 (bottom) to 1 (top). */
export function height(frequency: number): number {
  return (mel(frequency) - mel(LOWEST)) / (mel(HIGHEST) - mel(LOWEST));
}

function mel(hertz: number): number {
  return 2595 * Math.log10(1 + hertz / 700);
}

function hertz(mel: number): number {
  return 700 * (10 ** (mel / 2595) - 1);
}
