import type { LiveStream } from "./service";
import type { LiveSegment, StreamMessage } from "./types";

/** Sound that may wait in the browser for a slow line; what comes on top is dropped. */
const WAITING_S = 5;
const BYTES_PER_SAMPLE = 2;
/** How long the last results may take after the end of the sound. */
const FINISH_MS = 5000;

/** A live stream to the server: samples in, messages out. */
export class Stream implements LiveStream {
  /** Samples left out that the server has not been told of. */
  private skipped = 0;
  /** Set once the end was asked for: a closed connection is then no loss. */
  private onClosed: (() => void) | null = null;

  private constructor(
    private readonly socket: WebSocket,
    private readonly rate: number,
  ) {}

  /**
   * @param base address of the page
   * @param rate of the samples, in Hz
   * @throws Error if the server cannot be reached or refuses
   */
  static open(
    base: string,
    token: string | null,
    model: string,
    rate: number,
    onMessage: (message: StreamMessage) => void,
    onLost: () => void,
  ): Promise<Stream> {
    const url = new URL(`v1/stream?${new URLSearchParams({ model, rate: String(rate) })}`, base);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    // Browsers cannot give a WebSocket headers; the token travels as a subprotocol.
    const socket = new WebSocket(url, token ? [`bearer.${token}`] : []);
    socket.binaryType = "arraybuffer";
    const stream = new Stream(socket, rate);
    return new Promise((resolve, reject) => {
      let ready = false;
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data) as StreamMessage;
        if (message.type === "ready") {
          ready = true;
          resolve(stream);
        } else if (message.type === "error" && !ready) {
          reject(new Error(message.error));
        }
        onMessage(message);
      };
      socket.onclose = ({ reason }) => {
        if (!ready) reject(new Error(reason || "The server refuses the live stream."));
        else if (stream.onClosed) stream.onClosed();
        else onLost();
      };
    });
  }

  /** @param samples mono, full scale 1.0 */
  send(samples: Float32Array): void {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    if (this.socket.bufferedAmount > WAITING_S * this.rate * BYTES_PER_SAMPLE) {
      this.skipped += samples.length;
      return;
    }
    // The server hears silence instead, so that its times stay right, and counts it as dropped.
    if (this.skipped) this.socket.send(JSON.stringify({ type: "skip", samples: this.skipped }));
    this.skipped = 0;
    this.socket.send(toInt16(samples));
  }

  /** Ends the sound and waits for the last results. */
  async finish(): Promise<void> {
    if (this.socket.readyState === WebSocket.OPEN) {
      const closed = new Promise<void>((resolve) => (this.onClosed = resolve));
      const late = new Promise<void>((resolve) => setTimeout(resolve, FINISH_MS));
      this.socket.send(JSON.stringify({ type: "finish" }));
      await Promise.race([closed, late]);
    }
    this.close();
  }

  close(): void {
    this.onClosed = () => {};
    this.socket.close();
  }
}

/** Little-endian 16-bit PCM. */
export function toInt16(samples: Float32Array): ArrayBuffer {
  const bytes = new DataView(new ArrayBuffer(samples.length * BYTES_PER_SAMPLE));
  samples.forEach((sample, index) => {
    const clipped = Math.max(-1, Math.min(1, sample));
    bytes.setInt16(index * BYTES_PER_SAMPLE, Math.round(clipped * 32767), true);
  });
  return bytes.buffer;
}

/**
 * Segments after one more has come. It takes the place of those that were not final; of those, several can come for one
 * moment, one after the other.
 */
export function withSegment(segments: readonly LiveSegment[], next: LiveSegment): LiveSegment[] {
  return [...segments.filter(({ final, end }) => final || end <= next.start), next];
}
