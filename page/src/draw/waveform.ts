import type { Range } from "../time/range";
import { timeAt } from "../time/range";
import type { Theme } from "../theme";
import type { Size } from "./canvas";
import type { Envelope } from "./envelope";
import { INK } from "./ink";

/** A sound that is quieter than this does not fill the height: silence stays a line. */
const QUIETEST_PEAK = 0.02;

/** Draws from the smallest to the largest value under each pixel; the peak of the sound fills the height. */
export function drawWaveform(
  context: CanvasRenderingContext2D,
  { width, height }: Size,
  envelope: Envelope,
  range: Range,
  theme: Theme,
): void {
  const middle = height / 2;
  const scale = (0.95 * middle) / Math.max(QUIETEST_PEAK, envelope.peak);
  context.fillStyle = INK[theme].grid;
  context.fillRect(0, middle - 0.5, width, 1);
  context.fillStyle = INK[theme].wave;
  for (let x = 0; x < width; x++) {
    const extremes = envelope.between(timeAt(x / width, range), timeAt((x + 1) / width, range));
    if (!extremes) continue;
    const [low, high] = extremes;
    context.fillRect(x, middle - high * scale, 1, Math.max(1, (high - low) * scale));
  }
}
