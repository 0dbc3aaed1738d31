/** Recognition in the browser, for the page without a server. */
import type { LiveStream, Service, Sound } from "../api/service";
import type { Channel, Model, StreamMessage, Timeline } from "../api/types";
import { decode, type Sound16k } from "./decode";
import { FORMATS } from "./formats";
import type { Answer, Question } from "./messages";

type Asked<Q = Question> = Q extends Question ? Omit<Q, "id"> : never;

export class LocalService implements Service {
  readonly place = "browser";
  readonly formats = Object.keys(FORMATS);
  private readonly worker: Worker;
  private readonly waiting = new Map<number, { resolve: (result: never) => void; reject: (error: Error) => void }>();
  private readonly listeners = new Map<number, (message: StreamMessage) => void>();
  private readonly decoded = new WeakMap<Blob, Map<number | null, Promise<Sound16k>>>();
  private count = 0;

  /** @param base address of the page */
  constructor(private readonly base: string) {
    this.worker = new Worker(new URL("worker.js", base), { type: "module" });
    this.worker.onmessage = ({ data }: MessageEvent<Answer>) => this.take(data);
    this.worker.onerror = ({ message }) => this.fail(message || "The recognizer cannot be started.");
  }

  async models(): Promise<Model[]> {
    const response = await fetch(new URL("models.json", this.base));
    if (!response.ok) throw new Error(`models.json: ${response.status} ${response.statusText}`);
    return response.json();
  }

  async timeline(sound: Sound, model: string, channel: Channel): Promise<Timeline> {
    if (channel !== "each") return this.recognize(sound, model, channel);
    const { channels } = await this.decode(sound, 0);
    const parts: Timeline[] = [];
    for (let number = 0; number < channels; number++) parts.push(await this.recognize(sound, model, number));
    return joined(parts);
  }

  async timelineFile(sound: Sound, model: string, channel: Channel, format: string): Promise<Blob> {
    return new Blob([FORMATS[format]!(await this.timeline(sound, model, channel))]);
  }

  async stream(model: string, rate: number, onMessage: (message: StreamMessage) => void): Promise<LiveStream> {
    const id = ++this.count;
    this.listeners.set(id, onMessage);
    await this.ask({ kind: "open", model, rate }, id);
    const close = () => {
      this.listeners.delete(id);
      void this.ask({ kind: "close", stream: id });
    };
    return {
      send: (samples) => void this.ask({ kind: "push", stream: id, samples }),
      finish: () => this.ask<void>({ kind: "finish", stream: id }).finally(close),
      close,
    };
  }

  private async recognize(sound: Sound, model: string, channel: number | null): Promise<Timeline> {
    const { samples, duration } = await this.decode(sound, channel);
    return this.ask({ kind: "timeline", model, file: sound.name, samples, duration });
  }

  /** Decodes each channel of a sound once. */
  private decode({ blob, name }: Sound, channel: number | null): Promise<Sound16k> {
    const known = this.decoded.get(blob) ?? new Map<number | null, Promise<Sound16k>>();
    this.decoded.set(blob, known);
    if (!known.has(channel)) known.set(channel, decode(blob, name, channel));
    return known.get(channel)!;
  }

  private ask<T>(question: Asked, id = ++this.count): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ ...question, id });
    });
  }

  private take(answer: Answer): void {
    if ("message" in answer) {
      this.listeners.get(answer.id)?.(answer.message);
      return;
    }
    const asked = this.waiting.get(answer.id);
    this.waiting.delete(answer.id);
    if ("error" in answer) asked?.reject(new Error(answer.error));
    else asked?.resolve(answer.result as never);
  }

  private fail(text: string): void {
    for (const { reject } of this.waiting.values()) reject(new Error(text));
    this.waiting.clear();
  }
}

/** The timelines of all channels in one. */
function joined(parts: readonly Timeline[]): Timeline {
  const numbered = <T>(name: "answers" | "windows" | "segments") =>
    parts.flatMap((part, channel) => part[name].map((one) => ({ ...one, channel }))) as T[];
  const byStart = (one: { start: number }, other: { start: number }) => one.start - other.start;
  return {
    ...parts[0]!,
    channels: parts.map((_, channel) => channel),
    answers: numbered<Timeline["answers"][number]>("answers"),
    windows: numbered<Timeline["windows"][number]>("windows").sort(byStart),
    segments: numbered<Timeline["segments"][number]>("segments").sort(byStart),
    warnings: [...new Set(parts.flatMap(({ warnings }) => warnings))],
  };
}
