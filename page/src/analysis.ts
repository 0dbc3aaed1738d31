import { signal } from "@preact/signals";
import { announce } from "./announce";
import type { Service, Sound } from "./api/service";
import type { Answer, Channel, Timeline } from "./api/types";
import { percent } from "./format";

export type AnalysisState =
  { status: "busy" } | { status: "failed"; error: string } | { status: "done"; timeline: Timeline };

/** What one model says of one sound: asked for at once, and again by `start` after a failure. */
export class Analysis {
  readonly state = signal<AnalysisState>({ status: "busy" });
  private readonly aborting = new AbortController();

  constructor(
    private readonly service: Service,
    readonly sound: Sound,
    readonly model: string,
    readonly channel: Channel,
  ) {
    void this.start();
  }

  async start(): Promise<void> {
    this.state.value = { status: "busy" };
    announce(`${this.model} listens to ${this.sound.name}.`);
    const { service, sound, model, channel } = this;
    try {
      const timeline = await service.timeline(sound, model, channel, this.aborting.signal);
      this.state.value = { status: "done", timeline };
      const count = timeline.segments.length;
      const answers = timeline.answers.map((answer) => `${inWords(answer)}, ${percent(answer.confidence)}`);
      announce(`${model}: ${answers.join("; ")}. ${count} segment${count === 1 ? "" : "s"}.`);
    } catch (error) {
      if (this.aborting.signal.aborted) return;
      this.state.value = { status: "failed", error: (error as Error).message };
    }
  }

  cancel(): void {
    this.aborting.abort();
  }
}

/** The label to show: `unsure` where the model says that it is, and `no speech` where there is none. */
export function overall({ label, sure, doubt }: Answer): string {
  if (sure) return label;
  return doubt === "no speech" || doubt === "silent" ? "no speech" : "unsure";
}

/** The name of a channel; people count from 1. */
export function channelName(channel: number): string {
  return `channel ${channel + 1}`;
}

function inWords(answer: Answer): string {
  const { channel } = answer;
  return typeof channel === "number" ? `${channelName(channel)}: ${overall(answer)}` : overall(answer);
}
