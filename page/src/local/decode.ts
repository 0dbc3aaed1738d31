/** Sound files as samples at 16 kHz, decoded by the browser at the file's own rate. */
import { RATE } from "./activity";
import { Resampler } from "./resampler";

/** For formats whose rate is not read here; most videos and compressed sounds have it. */
const USUAL_RATE = 48000;

export interface Sound16k {
  samples: Float32Array;
  /** Of the file, in s. */
  duration: number;
  /** Of the file. */
  channels: number;
}

/**
 * @param channel null: the mean of all
 * @throws Error if the browser cannot decode it, or there is no such channel
 */
export async function decode(blob: Blob, name: string, channel: number | null): Promise<Sound16k> {
  const content = await blob.arrayBuffer();
  const context = new OfflineAudioContext(1, 1, rateOf(content) ?? USUAL_RATE);
  const buffer = await context.decodeAudioData(content).catch(() => {
    throw new Error(`${name}: the browser cannot decode it. \`serkit predict\` reads more formats.`);
  });
  const count = buffer.numberOfChannels;
  if (channel !== null && channel >= count) throw new Error(`${name}: has no channel ${channel}; it has ${count}`);
  const mono = channel === null ? mixed(buffer) : buffer.getChannelData(channel);
  const resampler = new Resampler(buffer.sampleRate, RATE);
  const parts = [resampler.push(mono), resampler.finish()];
  const samples = new Float32Array(parts[0]!.length + parts[1]!.length);
  samples.set(parts[0]!);
  samples.set(parts[1]!, parts[0]!.length);
  return { samples, duration: buffer.duration, channels: count };
}

/** The rate of a WAV or FLAC file in Hz, from its first bytes, if the browser accepts it; else null. */
export function rateOf(content: ArrayBuffer): number | null {
  const view = new DataView(content);
  const mark = (at: number) => String.fromCharCode(...new Uint8Array(content, at, 4));
  let rate: number | null = null;
  if (content.byteLength >= 22 && mark(0) === "fLaC") rate = view.getUint32(18) >>> 12;
  if (content.byteLength >= 12 && mark(0) === "RIFF") {
    for (
      let at = 12;
      at + 16 <= content.byteLength;
      at += 8 + view.getUint32(at + 4, true) + (view.getUint32(at + 4, true) % 2)
    )
      if (mark(at) === "fmt ") {
        rate = view.getUint32(at + 12, true);
        break;
      }
  }
  return rate !== null && rate >= 8000 && rate <= 96000 ? rate : null;
}

function mixed(buffer: AudioBuffer): Float32Array {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel));
  return channels[0]!.map((_, index) => channels.reduce((sum, channel) => sum + channel[index]!, 0) / channels.length);
}
