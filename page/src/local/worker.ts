/** Runs beside the page: networks, voice activity, timelines, live streams. */
import * as ort from "onnxruntime-web/wasm";
import type { Model as ModelFacts, StreamMessage } from "../api/types";
import { loadDetectors } from "./detector";
import type { Answer, Question } from "./messages";
import { Recognizer, type Facts } from "./recognizer";
import { Stream, type Event } from "./stream";

/** Time between two messages with figures, in s of sound. */
const STATISTICS_EVERY = 1;
/** Latencies that the percentiles are taken over. */
const RECENT = 256;
/** Sound in s that may wait for the network; what comes on top is dropped. */
const WAITING_S = 5;

// The networks are small: threads would cost more than they bring, and need headers that few static hosts send.
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = { wasm: new URL("ort.wasm", self.location.href).href };

const detectors = fetchBytes("fvad.wasm").then(loadDetectors);
const facts = fetch(new URL("models.json", self.location.href)).then(
  (response) => response.json() as Promise<ModelFacts[]>,
);
const recognizers = new Map<string, Promise<Recognizer>>();
const streams = new Map<number, LiveStream>();

function recognizer(name: string): Promise<Recognizer> {
  if (!recognizers.has(name)) recognizers.set(name, load(name));
  return recognizers.get(name)!;
}

async function load(name: string): Promise<Recognizer> {
  const known = (await facts).find((model) => model.name === name);
  if (!known) throw new Error(`unknown model '${name}'`);
  const content = await fetchBytes(`${name}.onnx`);
  const session = await ort.InferenceSession.create(content, { executionProviders: ["wasm"] });
  return new Recognizer(known as ModelFacts & Facts, session, ort.Tensor, await detectors);
}

async function fetchBytes(name: string): Promise<ArrayBuffer> {
  const response = await fetch(new URL(name, self.location.href));
  if (!response.ok) throw new Error(`${name}: ${response.status} ${response.statusText}`);
  return response.arrayBuffer();
}

/** A live stream: chunks wait for each other, and each result is sent as soon as it is known. */
class LiveStream {
  private readonly latencies: number[] = [];
  private waiting: Promise<void> = Promise.resolve();
  /** In samples. */
  private queued = 0;
  private dropped = 0;
  private told = 0;

  constructor(
    private readonly id: number,
    private readonly stream: Stream,
    private readonly rate: number,
  ) {}

  push(samples: Float32Array): void {
    if (this.queued > WAITING_S * this.rate) {
      // Silence takes its place, so that times stay right.
      this.dropped += samples.length;
      samples = new Float32Array(samples.length);
    }
    const arrived = performance.now();
    this.queued += samples.length;
    this.waiting = this.waiting.then(async () => {
      this.send(await this.stream.push(samples), arrived);
      this.queued -= samples.length;
    });
    this.waiting.catch((error: Error) => tell(this.id, { type: "error", error: error.message }));
  }

  async finish(): Promise<void> {
    await this.waiting;
    this.send(await this.stream.finish(), performance.now());
    this.tellStatistics();
  }

  /** Lets go of the detector, as soon as no chunk is at work. */
  close(): void {
    void this.waiting.catch(() => {}).then(() => this.stream.close());
  }

  private send(events: Event[], arrived: number): void {
    for (const event of events) {
      if (event.type === "segment") {
        tell(this.id, event);
        continue;
      }
      const latency = performance.now() - arrived;
      this.latencies.push(latency);
      if (this.latencies.length > RECENT) this.latencies.shift();
      tell(this.id, { ...event, latency_ms: latency });
    }
    if (this.stream.received / this.rate - this.told >= STATISTICS_EVERY) this.tellStatistics();
  }

  private tellStatistics(): void {
    this.told = this.stream.received / this.rate;
    const sorted = [...this.latencies].sort((a, b) => a - b);
    const percentile = (share: number) => sorted[Math.floor(share * (sorted.length - 1))] ?? null;
    tell(this.id, {
      type: "statistics",
      received_s: this.told,
      dropped_s: this.dropped / this.rate,
      latency_ms: { p50: percentile(0.5), p95: percentile(0.95) },
    });
  }
}

function tell(id: number, message: StreamMessage): void {
  postMessage({ id, message } satisfies Answer);
}

async function answer(question: Question): Promise<Extract<Answer, { result: unknown }>["result"]> {
  switch (question.kind) {
    case "timeline":
      return (await recognizer(question.model)).timeline(question.file, question.samples, question.duration);
    case "open": {
      const { id, model, rate } = question;
      const { labels, window } = await recognizer(model);
      streams.set(id, new LiveStream(id, (await recognizer(model)).stream(rate), rate));
      tell(id, { type: "ready", model, labels: [...labels], rate, window, hop: Stream.hop });
      return null;
    }
    case "push":
      streams.get(question.stream)?.push(question.samples);
      return null;
    case "finish":
      await streams.get(question.stream)?.finish();
      return null;
    case "close":
      streams.get(question.stream)?.close();
      streams.delete(question.stream);
      return null;
  }
}

onmessage = ({ data }: MessageEvent<Question>) => {
  answer(data)
    .then((result) => postMessage({ id: data.id, result } satisfies Answer))
    .catch((error: Error) => postMessage({ id: data.id, error: error.message } satisfies Answer));
};
