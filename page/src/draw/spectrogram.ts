import type { Samples } from "../sound/samples";
import type { Range } from "../time/range";
import { timeAt } from "../time/range";
import type { Theme } from "../theme";
import type { Size } from "./canvas";
import { levelColour } from "./ink";
import { BANDS, LogMel } from "./log-mel";

/** Levels this far below the loudest are drawn as silence, in dB. */
const DEPTH = 65;
/** A quiet room does not become a bright picture, in dB. */
const QUIETEST_PEAK = -40;
/** Enough columns for the eye; wider pictures are stretched. */
const COLUMNS = 900;

/** Draws the log-mel spectrogram, one frame per column, low frequencies at the bottom. */
export function drawSpectrogram(
  context: CanvasRenderingContext2D,
  { width, height }: Size,
  samples: Samples,
  range: Range,
  theme: Theme,
): void {
  const columns = Math.min(COLUMNS, Math.round(width));
  const levels = measure(samples, range, columns);
  const peak = levels.reduce((peak, level) => Math.max(peak, level), QUIETEST_PEAK);
  const image = new ImageData(columns, BANDS);
  levels.forEach((level, index) => {
    const [column, band] = [Math.floor(index / BANDS), index % BANDS];
    const pixel = 4 * ((BANDS - 1 - band) * columns + column);
    image.data.set(levelColour(1 + (level - peak) / DEPTH, theme), pixel);
    image.data[pixel + 3] = 255;
  });
  const small = new OffscreenCanvas(columns, BANDS);
  small.getContext("2d")!.putImageData(image, 0, 0);
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, width, height);
}

/** Levels in dB, column by column. */
function measure(samples: Samples, range: Range, columns: number): Float32Array {
  const logMel = new LogMel(samples.rate);
  const levels = new Float32Array(columns * BANDS);
  for (let column = 0; column < columns; column++) {
    const time = timeAt((column + 0.5) / columns, range);
    logMel.at(samples, time, levels.subarray(column * BANDS, (column + 1) * BANDS));
  }
  return levels;
}
