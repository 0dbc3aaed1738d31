import { computed, signal } from "@preact/signals";
import { announce } from "./announce";
import type { LiveStream, Service } from "./api/service";
import { withSegment } from "./api/stream";
import type { Latency, LiveSegment, StreamMessage, Timeline, Window } from "./api/types";
import { Envelope } from "./draw/envelope";
import type { Picture } from "./draw/picture";
import { percent } from "./format";
import { Microphone } from "./sound/microphone";
import { Rolling } from "./sound/rolling";
import { stillness } from "./theme";
import type { Range } from "./time/range";

/** Name of the stream in files. */
export const LIVE = "live stream";
/** What is on the screen, in s. */
export const TRAIL_S = 30;
/** Time between two pictures; for those who asked for little movement, one a second. */
const PICTURE_MS = stillness.matches ? 1000 : 200;
/** Latencies that the median is taken over. */
const RECENT = 50;

export interface LiveFigures {
  /** Sound that the recognizer has taken, in s. */
  received: number;
  /** Sound that was left out because the line or the machine was too slow, in s. */
  dropped: number;
  recognizer: Latency;
}

/** What one model says of the microphone. */
export class LiveAnswer {
  readonly labels = signal<string[]>([]);
  readonly windows = signal<Window[]>([]);
  readonly segments = signal<LiveSegment[]>([]);
  /** Null until the recognizer has said them. */
  readonly figures = signal<LiveFigures | null>(null);
  /** From the last sample of a window in the microphone to its result on the screen, in ms. */
  readonly latency = signal<number | null>(null);
  stream: LiveStream | null = null;
  private readonly latencies: number[] = [];

  constructor(readonly model: string) {}

  /** @param since start of what is on the screen, in s @param delay from the end of the window to now, in ms */
  takeWindow(window: Window, since: number, delay: number): void {
    this.windows.value = [...this.windows.peek().filter(({ end }) => end >= since), window];
    this.latencies.push(delay);
    if (this.latencies.length > RECENT) this.latencies.shift();
    this.latency.value = median(this.latencies);
  }

  takeSegment(segment: LiveSegment): void {
    this.segments.value = withSegment(this.segments.peek(), segment);
    const said = `${segment.label}, ${segment.sure ? "" : "unsure, "}${percent(segment.confidence)}`;
    if (segment.final) announce(`${this.model}: ${said}`);
  }

  /** The segments as a timeline; of the windows only those on the screen were kept, and none are given. */
  timeline(duration: number): Timeline {
    const { model } = this;
    const segments = this.segments.peek().map(({ final: _, ...segment }) => segment);
    const labels = this.labels.peek();
    return { file: LIVE, model, duration, labels, answers: [], windows: [], segments, warnings: [] };
  }
}

/** A microphone that one or two models listen to. Keeps results, and of the sound what is on the screen. */
export class Live {
  readonly status = signal<"listening" | "finishing" | "ended">("listening");
  readonly error = signal<string | null>(null);
  readonly picture = signal<Picture | null>(null);
  readonly now = signal(0);
  readonly range = computed<Range>(() => ({
    start: Math.max(0, this.now.value - TRAIL_S),
    end: Math.max(TRAIL_S, this.now.value),
  }));

  readonly answers: readonly LiveAnswer[];
  private readonly rolling: Rolling;
  private readonly timer: number;
  /** When the first sample was spoken, on the clock of the page; each chunk that comes with less delay corrects it. */
  private started = Infinity;

  private constructor(
    models: readonly string[],
    private readonly microphone: Microphone,
  ) {
    this.answers = models.map((model) => new LiveAnswer(model));
    this.rolling = new Rolling(microphone.rate, TRAIL_S);
    this.timer = window.setInterval(() => this.draw(), PICTURE_MS);
  }

  /** @throws Error if there is no microphone, or the recognizer refuses */
  static async start(service: Service, models: readonly string[]): Promise<Live> {
    const microphone = await Microphone.open();
    const live = new Live(models, microphone);
    try {
      for (const answer of live.answers) {
        answer.stream = await service.stream(
          answer.model,
          microphone.rate,
          (message) => live.take(answer, message),
          () => live.lost(),
        );
      }
    } catch (error) {
      live.close();
      throw error;
    }
    microphone.listen((samples) => live.hear(samples));
    return live;
  }

  /** Stops listening; the last segment is still waited for. */
  async finish(): Promise<void> {
    this.status.value = "finishing";
    this.stopHearing();
    await Promise.all(this.answers.map(({ stream }) => stream?.finish()));
    this.status.value = "ended";
    announce(`Stopped after ${Math.round(this.now.peek())} seconds.`);
  }

  /** Stops at once, whatever was still to come. */
  close(): void {
    if (this.status.peek() === "listening") this.stopHearing();
    this.answers.forEach(({ stream }) => stream?.close());
  }

  private stopHearing(): void {
    this.microphone.close();
    clearInterval(this.timer);
    this.draw();
  }

  private hear(samples: Float32Array): void {
    this.rolling.push(samples);
    this.answers.forEach(({ stream }) => stream?.send(samples));
    this.started = Math.min(this.started, performance.now() - 1000 * this.rolling.now);
  }

  private draw(): void {
    const samples = this.rolling.samples();
    this.picture.value = { samples, envelope: new Envelope(samples) };
    this.now.value = this.rolling.now;
  }

  private take(answer: LiveAnswer, message: StreamMessage): void {
    if (message.type === "ready") answer.labels.value = message.labels;
    else if (message.type === "window") {
      const delay = performance.now() - this.started - 1000 * message.end;
      answer.takeWindow(message, this.range.peek().start, delay);
    } else if (message.type === "segment") answer.takeSegment(message);
    else if (message.type === "statistics")
      answer.figures.value = {
        received: message.received_s,
        dropped: message.dropped_s,
        recognizer: message.latency_ms,
      };
    else this.error.value = message.error;
  }

  private lost(): void {
    if (this.status.peek() === "ended") return;
    this.error.value ??= "The connection to the server was lost.";
    this.stopHearing();
    this.status.value = "ended";
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
