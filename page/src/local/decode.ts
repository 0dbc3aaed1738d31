/** Sound files as samples at 16 kHz, decoded by the browser at the file's own rate. */
import { RATE } from "./activity";
import { Resampler } from "./resampler";
import { readWav, type Wav } from "./wav";

/** For formats whose rate is not read here; most videos and compressed sounds have it. */
const USUAL_RATE = 48000;

/** Of an audio context, in every browser. */
const LOWEST_RATE = 8000;
const HIGHEST_RATE = 96000;

export interface Sound16k {
  samples: Float32Array;
  /** Of the file, in s. */
  duration: number;
}

/**
 * @param channel null: the mean of all
 * @throws Error if the browser cannot decode it, or there is no such channel
 */
export async function decode(blob: Blob, name: string, channel: number | null): Promise<Sound16k> {
  const { rate, channels } = await read(await blob.arrayBuffer(), name);
  const chosen = channel === null ? mixed(channels) : channels[channel];
  if (!chosen) throw new Error(`${name}: has no channel ${channel}; it has ${channels.length}`);
  const resampler = new Resampler(rate, RATE);
  const parts = [resampler.push(chosen), resampler.finish()];
  const samples = new Float32Array(parts[0]!.length + parts[1]!.length);
  samples.set(parts[0]!);
  samples.set(parts[1]!, parts[0]!.length);
  return { samples, duration: chosen.length / rate };
}

/** The rate of a FLAC file in Hz, from its first bytes, if the browser accepts it; else null. */
export function rateOf(content: ArrayBuffer): number | null {
  if (content.byteLength < 22 || String.fromCharCode(...new Uint8Array(content, 0, 4)) !== "fLaC") return null;
  const rate = new DataView(content).getUint32(18) >>> 12;
  return rate >= LOWEST_RATE && rate <= HIGHEST_RATE ? rate : null;
}

/** Channels and rate: WAV is read here, because Chromium stretches its positive samples by 1 / 32767. */
async function read(content: ArrayBuffer, name: string): Promise<Wav> {
  const wav = readWav(content);
  if (wav) return wav;
  const context = new OfflineAudioContext(1, 1, rateOf(content) ?? USUAL_RATE);
  const buffer = await context.decodeAudioData(content).catch(() => {
    throw new Error(`${name}: the browser cannot decode it. \`serkit predict\` reads more formats.`);
  });
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel));
  return { rate: buffer.sampleRate, channels };
}

function mixed(channels: Float32Array[]): Float32Array {
  if (channels.length === 1) return channels[0]!;
  return channels[0]!.map((_, index) => channels.reduce((sum, channel) => sum + channel[index]!, 0) / channels.length);
}
