import { wav } from "./wav";

/** Mono sound that can be drawn. Times count from the beginning of the recording or stream. */
export interface Samples {
  /** In Hz. */
  rate: number;
  /** Time of the first value, in s: the beginning of a long stream is forgotten. */
  from: number;
  values: Float32Array;
}

/** What is drawn: enough for 8 kHz of spectrogram, and an hour is 230 MB. */
const RATE = 16000;

export interface Decoded {
  samples: Samples;
  channels: number;
  /** What to send instead of the file: a WAV file, if a recognizer may not know the file's format. */
  wav: Blob | null;
}

/** Decodes with the browser's own decoders. @returns null for a format that it does not know */
export async function decode(blob: Blob): Promise<Decoded | null> {
  const context = new OfflineAudioContext(1, 1, RATE);
  try {
    const content = await blob.arrayBuffer();
    const rare = needsFfmpeg(new Uint8Array(content.slice(0, 12))); // before decoding, which takes the content away
    const buffer = await context.decodeAudioData(content);
    const channels = buffer.numberOfChannels;
    const samples = { rate: RATE, from: 0, values: mixDown(buffer) };
    return { samples, channels, wav: rare ? wav([interleave(buffer)], RATE, channels) : null };
  } catch {
    return null;
  }
}

/** Whether a file is MP4 (m4a), WebM, Matroska or AAC, which a server reads with ffmpeg only. @param head 12 bytes */
export function needsFfmpeg(head: Uint8Array): boolean {
  const text = String.fromCharCode(...head);
  const aac = head[0] === 0xff && (head[1]! & 0xf6) === 0xf0;
  return text.slice(4, 8) === "ftyp" || text.startsWith("\x1a\x45\xdf\xa3") || aac;
}

function interleave(buffer: AudioBuffer): Float32Array {
  const channels = Array.from({ length: buffer.numberOfChannels }, (_, index) => buffer.getChannelData(index));
  const all = new Float32Array(buffer.length * channels.length);
  channels.forEach((data, channel) => data.forEach((value, index) => (all[index * channels.length + channel] = value)));
  return all;
}

function mixDown(buffer: AudioBuffer): Float32Array {
  const mix = buffer.getChannelData(0).slice();
  for (let channel = 1; channel < buffer.numberOfChannels; channel++) {
    const data = buffer.getChannelData(channel);
    for (let index = 0; index < mix.length; index++) mix[index]! += data[index]!;
  }
  return mix.map((value) => value / buffer.numberOfChannels);
}
