import type { Range } from "../time/range";
import { timeAt } from "../time/range";
import type { Theme } from "../theme";
import type { Size } from "./canvas";
import type { Envelope } from "./envelope";
import { INK } from "./ink";

/** Draws from the smallest to the largest value under each pixel. */
export function drawWaveform(
  context: CanvasRenderingContext2D,
  { width, height }: Size,
  envelope: Envelope,
  range: Range,
  theme: Theme,
): void {
  const middle = height / 2;
  context.fillStyle = INK[theme].grid;
  context.fillRect(0, middle - 0.5, width, 1);
  context.fillStyle = INK[theme].wave;
  for (let x = 0; x < width; x++) {
    const extremes = envelope.between(timeAt(x / width, range), timeAt((x + 1) / width, range));
    if (!extremes) continue;
    const [low, high] = extremes;
    const top = middle - high * middle;
    context.fillRect(x, top, 1, Math.max(1, (high - low) * middle));
  }
}
