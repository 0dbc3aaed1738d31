import { clock } from "../time/clock";
import type { Range } from "../time/range";
import { place } from "../time/range";
import { step, ticks } from "../time/ticks";
import type { Theme } from "../theme";
import type { Size } from "./canvas";
import { INK } from "./ink";

const APART = 72;

/** Draws the time axis. */
export function drawAxis(context: CanvasRenderingContext2D, { width, height }: Size, range: Range, theme: Theme): void {
  const digits = step(range, width, APART) < 1 ? 1 : 0;
  context.font = `11px ${getComputedStyle(context.canvas).fontFamily}`;
  context.textBaseline = "middle";
  for (const time of ticks(range, width, APART)) {
    const x = Math.round(place(time, range) * width);
    context.fillStyle = INK[theme].grid;
    context.fillRect(x, 0, 1, height);
    const text = clock(time, digits);
    if (x + 4 + context.measureText(text).width > width) continue;
    context.fillStyle = INK[theme].text;
    context.fillText(text, x + 4, height / 2);
  }
}
