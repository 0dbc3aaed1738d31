import { signal } from "@preact/signals";
import { announce } from "./announce";
import type { Service, Sound } from "./api/service";
import type { Prediction, Timeline } from "./api/types";
import { percent } from "./format";

export type AnalysisState =
  | { status: "busy" }
  | { status: "failed"; error: string }
  | { status: "done"; prediction: Prediction; timeline: Timeline };

/** What one model says of one sound: asked for at once, and again by `start` after a failure. */
export class Analysis {
  readonly state = signal<AnalysisState>({ status: "busy" });
  private readonly aborting = new AbortController();

  constructor(
    private readonly service: Service,
    readonly sound: Sound,
    readonly model: string,
    readonly channel: number | null,
  ) {
    void this.start();
  }

  async start(): Promise<void> {
    this.state.value = { status: "busy" };
    announce(`${this.model} listens to ${this.sound.name}.`);
    const { service, sound, model, channel } = this;
    try {
      const [prediction, timeline] = await Promise.all([
        service.predict(sound, model, channel, this.aborting.signal),
        service.timeline(sound, model, channel, this.aborting.signal),
      ]);
      this.state.value = { status: "done", prediction, timeline };
      const count = timeline.segments.length;
      announce(
        `${model}: ${overall(prediction)}, ${percent(prediction.confidence)}. ${count} segment${count === 1 ? "" : "s"}.`,
      );
    } catch (error) {
      if (this.aborting.signal.aborted) return;
      this.state.value = { status: "failed", error: (error as Error).message };
    }
  }

  cancel(): void {
    this.aborting.abort();
  }
}

/** The label to show: `unsure` where the model says that it is. */
export function overall({ label, sure }: Prediction): string {
  return sure ? label : "unsure";
}
