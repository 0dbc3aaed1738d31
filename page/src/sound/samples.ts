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
}

/** Decodes with the browser's own decoders. @returns null for a format that it does not know */
export async function decode(blob: Blob): Promise<Decoded | null> {
  const context = new OfflineAudioContext(1, 1, RATE);
  try {
    const buffer = await context.decodeAudioData(await blob.arrayBuffer());
    return { samples: { rate: RATE, from: 0, values: mixDown(buffer) }, channels: buffer.numberOfChannels };
  } catch {
    return null;
  }
}

function mixDown(buffer: AudioBuffer): Float32Array {
  const mix = buffer.getChannelData(0).slice();
  for (let channel = 1; channel < buffer.numberOfChannels; channel++) {
    const data = buffer.getChannelData(channel);
    for (let index = 0; index < mix.length; index++) mix[index]! += data[index]!;
  }
  return mix.map((value) => value / buffer.numberOfChannels);
}
