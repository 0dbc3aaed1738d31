/** Segments from the probabilities of overlapping windows; the same rules as `serkit.recognition.segments`. */
import type { LiveSegment } from "../api/types";

/** Floor of probabilities, so that one confident window does not outvote all others. */
const FLOOR = 1e-3;

/** Maximum number of undecided cells, which limits memory and delay. */
const LONGEST_WAIT = 64;

/** Speech between the ends of two windows, in s. */
interface Cell {
  start: number;
  end: number;
  probabilities: number[];
  /** Probability that the window that ends with it holds speech. */
  speech: number;
  /** Of that window from the training recordings. */
  distance: number;
}

/** A cell, with the best previous label for each of its possible labels. */
interface Step {
  cell: Cell;
  before: number[];
}

/**
 * Cuts a stretch of speech at changes of emotion.
 *
 * A cell's probabilities are the mean over the window that ends with it and the next `lookahead` windows. The labels
 * of all cells maximize the sum of log probability times duration, minus `change` for every change of label (Viterbi
 * algorithm). A cell is decided as soon as all possible paths agree on it.
 */
export class Segmenter {
  private coming: Cell[] = [];
  /** Undecided. */
  private steps: Step[] = [];
  /** Of the best path that ends with each label. */
  private scores: number[] = [];
  /** Decided, with one label. */
  private open: Cell[] = [];
  private label = -1;

  /**
   * @param lookahead number of windows
   * @param change cost of a change, in nats times seconds
   */
  constructor(
    private readonly labels: readonly string[],
    private readonly lookahead: number,
    private readonly change: number,
    private readonly doubt: (confidence: number, speech: number, distance: number) => string,
  ) {
    this.reset();
  }

  /** Adds a cell with the probabilities of the window that ends with it; returns the segments that became final. */
  add(start: number, end: number, probabilities: number[], speech = 1, distance = 0): LiveSegment[] {
    this.coming.push({ start, end, probabilities, speech, distance });
    if (this.coming.length > this.lookahead) this.scoreNext();
    return this.emit(this.agreed());
  }

  /** Ends the stretch at `end` s; returns its last segments. */
  finish(end: number): LiveSegment[] {
    while (this.coming.length) this.scoreNext();
    const segments = this.emit(this.trace(highest(this.scores), this.steps.length));
    if (this.open.length) segments.push(this.segment(Math.min(end, this.open.at(-1)!.end)));
    this.reset();
    return segments;
  }

  /** The result of `finish(end)`, without changing anything. */
  preview(end: number): LiveSegment[] {
    const twin = new Segmenter(this.labels, this.lookahead, this.change, this.doubt);
    twin.coming = [...this.coming];
    twin.steps = [...this.steps];
    twin.scores = this.scores;
    twin.open = [...this.open];
    twin.label = this.label;
    return twin.finish(end).map((segment) => ({ ...segment, final: false }));
  }

  private reset(): void {
    this.coming = [];
    this.steps = [];
    this.scores = this.labels.map(() => 0);
    this.open = [];
    this.label = -1;
  }

  /** Smooths the next cell, and extends the best path for each label by it. */
  private scoreNext(): void {
    const ahead = this.coming.map(({ probabilities }) => probabilities);
    const probabilities = this.labels.map(
      (_, label) => ahead.reduce((sum, one) => sum + one[label]!, 0) / ahead.length,
    );
    const cell = { ...this.coming.shift()!, probabilities };
    const best = highest(this.scores);
    const moved = this.scores[best]! - this.change;
    const before = this.scores.map((score, label) => (score >= moved ? label : best));
    const duration = cell.end - cell.start;
    this.scores = this.scores.map(
      (score, label) => Math.max(score, moved) + duration * Math.log(Math.max(probabilities[label]!, FLOOR)),
    );
    this.steps.push({ cell, before });
  }

  /** The labels of the first cells, up to the last one on which all paths agree. */
  private agreed(): number[] {
    let labels = this.labels.map((_, label) => label);
    for (let count = this.steps.length; count > 0; count--) {
      if (labels.every((label) => label === labels[0])) return this.trace(labels[0]!, count);
      const { before } = this.steps[count - 1]!;
      labels = labels.map((label) => before[label]!);
    }
    if (this.steps.length > LONGEST_WAIT) return this.trace(highest(this.scores), this.steps.length).slice(0, 1);
    return [];
  }

  /** The best path of the first `count` cells that ends with a label. */
  private trace(label: number, count: number): number[] {
    const labels: number[] = [];
    for (const step of this.steps.slice(0, count).reverse()) {
      labels.push(label);
      label = step.before[label]!;
    }
    return labels.reverse();
  }

  /** Decides the first cells; returns the segments that end. */
  private emit(labels: number[]): LiveSegment[] {
    const segments: LiveSegment[] = [];
    labels.forEach((label, index) => {
      if (this.open.length && label !== this.label) {
        segments.push(this.segment(this.open.at(-1)!.end));
        this.open = [];
      }
      this.label = label;
      this.open.push(this.steps[index]!.cell);
    });
    this.steps = this.steps.slice(labels.length);
    return segments;
  }

  /** The segment of the open cells. */
  private segment(end: number): LiveSegment {
    const total = this.open.reduce((sum, cell) => sum + cell.end - cell.start, 0);
    const mean = this.labels.map(
      (_, label) =>
        this.open.reduce((sum, cell) => sum + cell.probabilities[label]! * (cell.end - cell.start), 0) / total,
    );
    const confidence = mean[this.label]!;
    const average = (key: "speech" | "distance") =>
      this.open.reduce((sum, cell) => sum + cell[key] * (cell.end - cell.start), 0) / total;
    const doubt = this.doubt(confidence, average("speech"), average("distance"));
    return {
      start: this.open[0]!.start,
      end,
      label: this.labels[this.label]!,
      confidence,
      probabilities: Object.fromEntries(this.labels.map((label, index) => [label, mean[index]!])),
      final: true,
      sure: !doubt,
      doubt,
    };
  }
}

function highest(scores: readonly number[]): number {
  return scores.indexOf(Math.max(...scores));
}
