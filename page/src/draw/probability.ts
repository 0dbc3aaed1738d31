import type { Window } from "../api/types";
import { middle } from "../time/lookup";
import type { Range } from "../time/range";
import { place } from "../time/range";
import type { Theme } from "../theme";
import type { Size } from "./canvas";
import { INK } from "./ink";

/** Draws the probability of one label as an area from 0 (bottom) to 1 (top); grey where nobody speaks. */
export function drawProbability(
  context: CanvasRenderingContext2D,
  { width, height }: Size,
  windows: readonly Window[],
  label: string,
  colour: string,
  range: Range,
  theme: Theme,
): void {
  const x = (time: number) => place(time, range) * width;
  const y = (probability: number) => height - 1 - probability * (height - 3);
  context.fillStyle = INK[theme].grid;
  context.fillRect(0, height - 1, width, 1);
  for (const run of spoken(windows)) {
    // The first and the last window stand for their whole length; between them each stands for its middle.
    const points = run.map((window): [number, number] => [x(middle(window)), y(window.probabilities![label] ?? 0)]);
    points.unshift([x(run[0]!.start), points[0]![1]]);
    points.push([x(run.at(-1)!.end), points.at(-1)![1]]);
    const line = new Path2D();
    points.forEach(([x, y]) => line.lineTo(x, y));
    const area = new Path2D(line);
    area.lineTo(points.at(-1)![0], height - 1);
    area.lineTo(points[0]![0], height - 1);
    context.fillStyle = colour;
    context.globalAlpha = 0.28;
    context.fill(area);
    context.globalAlpha = 1;
    context.strokeStyle = colour;
    context.lineWidth = 1.5;
    context.lineJoin = "round";
    context.stroke(line);
  }
}

/** Runs of windows with speech. */
export function spoken(windows: readonly Window[]): Window[][] {
  const runs: Window[][] = [];
  let run: Window[] | null = null;
  for (const window of windows) {
    if (window.probabilities === null) {
      run = null;
    } else if (run) {
      run.push(window);
    } else {
      run = [window];
      runs.push(run);
    }
  }
  return runs;
}
