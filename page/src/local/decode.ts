/** Sound files as samples at 16 kHz, decoded by the browser at the file's own rate. */
import { wav } from "../sound/wav";
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
  /** Of the file. */
  channels: number;
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
  return { samples, duration: chosen.length / rate, channels: channels.length };
}

/** Rate in Hz and bits of a FLAC file, from its first bytes; null for another file. */
export function readFlacHead(content: ArrayBuffer): { rate: number; bits: number } | null {
  if (content.byteLength < 26 || String.fromCharCode(...new Uint8Array(content, 0, 4)) !== "fLaC") return null;
  const head = new DataView(content).getUint32(18);
  return { rate: head >>> 12, bits: ((head >>> 4) & 31) + 1 };
}

/** Channels and rate. WAV is read here, because browsers do not keep its samples as they are. */
async function read(content: ArrayBuffer, name: string): Promise<Wav> {
  const plain = readWav(content);
  if (plain) return plain;
  const flac = readFlacHead(content);
  const rate = flac && flac.rate >= LOWEST_RATE && flac.rate <= HIGHEST_RATE ? flac.rate : USUAL_RATE;
  const buffer = await decodeAt(rate, content).catch(() => {
    throw new Error(`${name}: the browser cannot decode it. \`serkit predict\` reads more formats.`);
  });
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, channel) => buffer.getChannelData(channel));
  if (flac?.bits === 16 && flac.rate === rate && (await stretches()))
    for (const channel of channels) unstretch(channel);
  return { rate, channels };
}

function decodeAt(rate: number, content: ArrayBuffer): Promise<AudioBuffer> {
  return new OfflineAudioContext(1, 1, rate).decodeAudioData(content);
}

/** Whether the browser divides positive samples by 32767, as Chromium does, instead of 32768. */
async function stretches(): Promise<boolean> {
  const probe = wav([Float32Array.of(16384 / 32767)], LOWEST_RATE);
  return (await decodeAt(LOWEST_RATE, await probe.arrayBuffer())).getChannelData(0)[0] !== 0.5;
}

function unstretch(samples: Float32Array): void {
  samples.forEach((sample, index) => {
    if (sample > 0) samples[index] = Math.round(sample * 32767) / 32768;
  });
}

function mixed(channels: Float32Array[]): Float32Array {
  if (channels.length === 1) return channels[0]!;
  return channels[0]!.map((_, index) => channels.reduce((sum, channel) => sum + channel[index]!, 0) / channels.length);
}
