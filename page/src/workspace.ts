import { computed, signal } from "@preact/signals";
import { announce } from "./announce";
import type { Service, Sound } from "./api/service";
import type { Model } from "./api/types";
import { Live } from "./live";
import { OpenSound } from "./open-sound";
import { Recording } from "./recording";

/** What the page is busy with. */
export type Scene =
  | { kind: "start" }
  | { kind: "waiting"; text: string }
  | { kind: "recording"; recording: Recording }
  | { kind: "sound"; open: OpenSound }
  | { kind: "live"; live: Live };

export type Models = { status: "busy" } | { status: "failed"; error: string } | { status: "done"; list: Model[] };

/** What the page knows, and what a user can do with it. */
export class Workspace {
  readonly models = signal<Models>({ status: "busy" });
  readonly scene = signal<Scene>({ kind: "start" });
  /** Why the last thing asked for did not work. */
  readonly problem = signal<string | null>(null);
  readonly first = signal<string>("");
  readonly second = signal<string | null>(null);
  readonly chosen = computed(() => [this.first.value, this.second.value].filter((name) => name !== null));

  constructor(readonly service: Service) {}

  async loadModels(): Promise<void> {
    this.models.value = { status: "busy" };
    try {
      const list = await this.service.models();
      this.first.value = (list.find((model) => model.default) ?? list[0])?.name ?? "";
      this.models.value = { status: "done", list };
    } catch (error) {
      this.models.value = { status: "failed", error: (error as Error).message };
    }
  }

  model(name: string): Model | undefined {
    const models = this.models.value;
    return models.status === "done" ? models.list.find((model) => model.name === name) : undefined;
  }

  openFile(file: File): Promise<void> {
    return this.open({ blob: file, name: file.name });
  }

  open(sound: Sound): Promise<void> {
    return this.turnTo(`Reading ${sound.name}`, async () => ({
      kind: "sound",
      open: await OpenSound.open(this.service, sound),
    }));
  }

  /** A sound that comes with the page: six sentences that serkit synthesized. */
  openSample(): Promise<void> {
    return this.turnTo("Fetching the sample", async () => {
      const response = await fetch(new URL("sample.flac", document.baseURI));
      if (!response.ok) throw new Error("The sample is not there.");
      const sound = { blob: await response.blob(), name: "sample.flac" };
      return { kind: "sound", open: await OpenSound.open(this.service, sound) };
    });
  }

  record(): Promise<void> {
    return this.turnTo("Waiting for the microphone", async () => {
      const recording = await Recording.start();
      announce("Recording.");
      return { kind: "recording", recording };
    });
  }

  listen(): Promise<void> {
    return this.turnTo("Waiting for the microphone", async () => {
      const live = await Live.start(this.service, this.chosen.peek());
      announce("Listening.");
      return { kind: "live", live };
    });
  }

  /** Back to the beginning. */
  restart(): void {
    leave(this.scene.peek());
    this.problem.value = null;
    this.scene.value = { kind: "start" };
  }

  private async turnTo(text: string, next: () => Promise<Scene>): Promise<void> {
    leave(this.scene.peek());
    this.problem.value = null;
    const waiting: Scene = { kind: "waiting", text };
    this.scene.value = waiting;
    const overtaken = () => this.scene.peek() !== waiting;
    try {
      const scene = await next();
      if (overtaken()) leave(scene);
      else this.scene.value = scene;
    } catch (error) {
      if (overtaken()) return;
      this.scene.value = { kind: "start" };
      this.problem.value = (error as Error).message;
    }
  }
}

/** Lets go of the microphone, the connections and the memory of a scene. */
function leave(scene: Scene): void {
  if (scene.kind === "recording") scene.recording.close();
  else if (scene.kind === "sound") scene.open.close();
  else if (scene.kind === "live") scene.live.close();
}
