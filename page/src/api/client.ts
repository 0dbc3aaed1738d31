import type { LiveStream, Service, Sound } from "./service";
import { Stream } from "./stream";
import type { Channel, Model, StreamMessage, Timeline } from "./types";

/** Asks the user for a token; null if they decline. `refused`: the token given before was wrong. */
export type AskForToken = (refused: boolean) => Promise<string | null>;

const STORED = "serkit.token";

/**
 * The server's HTTP interface. A request that is answered 401 asks for the token and is sent again. Where there is no
 * answer, or the answer is no, an Error says why in one line to show.
 */
export class Client implements Service {
  readonly place = "server";
  readonly formats = ["json", "csv", "srt", "vtt", "textgrid", "eaf", "audacity", "rttm", "audformat"];
  /** Kept until the tab is closed. */
  token: string | null = sessionStorage.getItem(STORED);
  private asking: Promise<string | null> | null = null;

  constructor(
    private readonly base: string,
    private readonly askForToken: AskForToken,
  ) {}

  models(): Promise<Model[]> {
    return this.send("v1/models").then((response) => response.json());
  }

  timeline(sound: Sound, model: string, channel: Channel, signal: AbortSignal): Promise<Timeline> {
    return this.post("v1/timeline", sound, { model, channel, format: "json" }, signal).then((response) =>
      response.json(),
    );
  }

  /** The timeline as a file of one of the server's formats. */
  timelineFile(sound: Sound, model: string, channel: Channel, format: string): Promise<Blob> {
    return this.post("v1/timeline", sound, { model, channel, format }).then((response) => response.blob());
  }

  stream(
    model: string,
    rate: number,
    onMessage: (message: StreamMessage) => void,
    onLost: () => void,
  ): Promise<LiveStream> {
    return Stream.open(this.base, this.token, model, rate, onMessage, onLost);
  }

  private post(
    path: string,
    sound: Sound,
    query: Record<string, string | number | null>,
    signal?: AbortSignal,
  ): Promise<Response> {
    const given = Object.entries(query).filter(([, value]) => value !== null);
    const body = new FormData();
    body.append("file", sound.blob, sound.name);
    const search = new URLSearchParams(given.map(([key, value]) => [key, String(value)]));
    return this.send(`${path}?${search}`, { method: "POST", body, signal });
  }

  private async send(path: string, init: RequestInit = {}): Promise<Response> {
    const used = this.token;
    const response = await this.fetch(path, init);
    if (response.status === 401) {
      if (await this.newToken(used)) return this.send(path, init);
      throw new Error("The server wants a token.");
    }
    if (!response.ok) throw new Error(await reason(response));
    return response;
  }

  private async fetch(path: string, init: RequestInit): Promise<Response> {
    const headers = this.token ? { Authorization: `Bearer ${this.token}` } : undefined;
    try {
      return await fetch(new URL(path, this.base), { ...init, headers });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new Error("The server does not answer. Is `serkit serve` running?");
    }
  }

  /** Whether there is another token than the one `used`. Requests that fail together ask once. */
  private async newToken(used: string | null): Promise<boolean> {
    if (this.token !== used) return true;
    this.asking ??= this.askForToken(used !== null).finally(() => (this.asking = null));
    const token = await this.asking;
    if (token === null) return false;
    this.token = token;
    sessionStorage.setItem(STORED, token);
    return true;
  }
}

async function reason(response: Response): Promise<string> {
  const body: unknown = await response.json().catch(() => null);
  const said =
    body !== null && typeof body === "object" && "error" in body
      ? String(body.error)
      : `The server answered ${response.status} ${response.statusText}`.trim();
  const wait = response.status === 503 && response.headers.get("Retry-After");
  return wait ? `${said} (try again in ${wait} s)` : said;
}
