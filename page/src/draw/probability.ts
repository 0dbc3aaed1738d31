import type { Probabilities, Window } from "../api/types";
import type { Range } from "../time/range";
import { place } from "../time/range";
import type { Theme } from "../theme";
import type { Size } from "./canvas";
import { INK } from "./ink";

/** Draws the probability of one label as an area from 0 (bottom) to 1 (top), with gaps where nobody speaks. */
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
  // 0, 50 and 100 %.
  for (const level of [0, 0.5, 1]) context.fillRect(0, Math.round(y(level)), width, 1);
  for (const run of runs(windows)) {
    const points = run.map(({ begin, end, probabilities }) => [x((begin + end) / 2), y(probabilities[label] ?? 0)]);
    points.unshift([x(run[0]!.begin), points[0]![1]!]);
    points.push([x(run.at(-1)!.end), points.at(-1)![1]!]);
    const line = new Path2D();
    points.forEach(([x, y]) => line.lineTo(x!, y!));
    const area = new Path2D(line);
    area.lineTo(points.at(-1)![0]!, height - 1);
    area.lineTo(points[0]![0]!, height - 1);
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

/** The time that a window stands for: what it adds to the one before. */
interface Cell {
  begin: number;
  end: number;
  probabilities: Probabilities;
}

/** Cells in which somebody speaks, those that follow each other together. */
export function runs(windows: readonly Window[]): Cell[][] {
  const found: Cell[][] = [];
  windows.forEach(({ start, end, probabilities }, index) => {
    const before = windows[index - 1];
    if (probabilities === null) return;
    if (!before?.probabilities) found.push([]);
    found.at(-1)!.push({ begin: Math.max(start, before?.end ?? start), end, probabilities });
  });
  return found;
}
