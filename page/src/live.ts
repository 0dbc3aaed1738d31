import { computed, signal } from "@preact/signals";
import { announce } from "./announce";
import type { LiveStream, Service } from "./api/service";
import { withSegment } from "./api/stream";
import type { Latency, LiveSegment, StreamMessage, Window } from "./api/types";
import { Envelope } from "./draw/envelope";
import type { Picture } from "./draw/picture";
import { percent } from "./format";
import { Microphone } from "./sound/microphone";
import { Rolling } from "./sound/rolling";
import { stillness } from "./theme";
import type { Range } from "./time/range";

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

/** A microphone that a model listens to. Keeps results, and of the sound what is on the screen. */
export class Live {
  readonly status = signal<"listening" | "finishing" | "ended">("listening");
  readonly error = signal<string | null>(null);
  readonly labels = signal<string[]>([]);
  readonly windows = signal<Window[]>([]);
  readonly segments = signal<LiveSegment[]>([]);
  readonly picture = signal<Picture | null>(null);
  readonly now = signal(0);
  /** Null until the recognizer has said them. */
  readonly figures = signal<LiveFigures | null>(null);
  /** From the last sample of a window in the microphone to its result on the screen, in ms. */
  readonly latency = signal<number | null>(null);
  readonly range = computed<Range>(() => ({
    start: Math.max(0, this.now.value - TRAIL_S),
    end: Math.max(TRAIL_S, this.now.value),
  }));

  private stream: LiveStream | null = null;
  private readonly rolling: Rolling;
  private readonly timer: number;
  private readonly latencies: number[] = [];
  /** When the first sample was spoken, on the clock of the page; each chunk that comes with less delay corrects it. */
  private started = Infinity;

  private constructor(
    readonly model: string,
    private readonly microphone: Microphone,
  ) {
    this.rolling = new Rolling(microphone.rate, TRAIL_S);
    this.timer = window.setInterval(() => this.draw(), PICTURE_MS);
  }

  /** @throws Error if there is no microphone, or the recognizer refuses */
  static async start(service: Service, model: string): Promise<Live> {
    const microphone = await Microphone.open();
    const live = new Live(model, microphone);
    try {
      live.stream = await service.stream(
        model,
        microphone.rate,
        (message) => live.take(message),
        () => live.lost(),
      );
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
    await this.stream?.finish();
    this.status.value = "ended";
    announce(`Stopped after ${Math.round(this.now.peek())} seconds.`);
  }

  /** Stops at once, whatever was still to come. */
  close(): void {
    if (this.status.peek() === "listening") this.stopHearing();
    this.stream?.close();
  }

  private stopHearing(): void {
    this.microphone.close();
    clearInterval(this.timer);
    this.draw();
  }

  private hear(samples: Float32Array): void {
    this.rolling.push(samples);
    this.stream?.send(samples);
    this.started = Math.min(this.started, performance.now() - 1000 * this.rolling.now);
  }

  private draw(): void {
    const samples = this.rolling.samples();
    this.picture.value = { samples, envelope: new Envelope(samples) };
    this.now.value = this.rolling.now;
  }

  private take(message: StreamMessage): void {
    if (message.type === "ready") this.labels.value = message.labels;
    else if (message.type === "window") this.takeWindow(message);
    else if (message.type === "segment") this.takeSegment(message);
    else if (message.type === "statistics")
      this.figures.value = {
        received: message.received_s,
        dropped: message.dropped_s,
        recognizer: message.latency_ms,
      };
    else this.error.value = message.error;
  }

  private takeWindow(window: Window): void {
    const since = this.range.peek().start;
    this.windows.value = [...this.windows.peek().filter(({ end }) => end >= since), window];
    this.latencies.push(performance.now() - this.started - 1000 * window.end);
    if (this.latencies.length > RECENT) this.latencies.shift();
    this.latency.value = median(this.latencies);
  }

  private takeSegment(segment: LiveSegment): void {
    this.segments.value = withSegment(this.segments.peek(), segment);
    if (segment.final) announce(`${segment.label}, ${segment.sure ? "" : "unsure, "}${percent(segment.confidence)}`);
  }

  private lost(): void {
    this.error.value ??= "The connection to the server was lost.";
    this.stopHearing();
    this.status.value = "ended";
  }
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
}
