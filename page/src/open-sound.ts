import { signal } from "@preact/signals";
import { Analysis } from "./analysis";
import type { Service, Sound } from "./api/service";
import type { Channel } from "./api/types";
import { Envelope } from "./draw/envelope";
import type { Picture } from "./draw/picture";
import type { Decoded } from "./sound/samples";
import { decode } from "./sound/samples";
import { Player } from "./sound/player";

/** A sound on the page: what plays and draws it, and what the models said of it. */
export class OpenSound {
  readonly player: Player;
  readonly channel = signal<Channel>(null);
  /** Null if the browser cannot decode it; the server may. */
  readonly picture: Picture | null;
  /** What the recognizer gets. */
  private readonly sent: Sound;
  private readonly analyses = new Map<string, Analysis>();

  private constructor(
    private readonly service: Service,
    readonly sound: Sound,
    private readonly decoded: Decoded | null,
  ) {
    this.sent = decoded?.wav ? { blob: decoded.wav, name: sound.name } : sound;
    this.player = new Player(sound.blob);
    this.picture = decoded && { samples: decoded.samples, envelope: new Envelope(decoded.samples) };
  }

  static async open(service: Service, sound: Sound): Promise<OpenSound> {
    return new OpenSound(service, sound, await decode(sound.blob));
  }

  get channels(): number {
    return this.decoded?.channels ?? 1;
  }

  /** In s; null if the browser cannot decode it. */
  get duration(): number | null {
    return this.decoded && this.decoded.samples.values.length / this.decoded.samples.rate;
  }

  /** What a model says of the chosen channel; every question is asked once. */
  analysis(model: string): Analysis {
    const channel = this.channel.value;
    const key = JSON.stringify([model, channel]);
    let analysis = this.analyses.get(key);
    if (!analysis) {
      analysis = new Analysis(this.service, this.sent, model, channel);
      this.analyses.set(key, analysis);
    }
    return analysis;
  }

  close(): void {
    this.player.close();
    this.analyses.forEach((analysis) => analysis.cancel());
  }
}
