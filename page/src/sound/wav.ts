import { toInt16 } from "../api/stream";

/**
 * A WAV file of 16 bits.
 *
 * @param chunks samples, full scale 1.0; of several channels one after the other for each moment
 * @param rate in Hz
 */
export function wav(chunks: Float32Array[], rate: number, channels = 1): Blob {
  const data = chunks.map(toInt16);
  const bytes = data.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  return new Blob([header(bytes, rate, channels), ...data], { type: "audio/wav" });
}

/** The 44 bytes of RIFF before the samples. */
function header(bytes: number, rate: number, channels: number): ArrayBuffer {
  const view = new DataView(new ArrayBuffer(44));
  const text = (offset: number, letters: string) =>
    [...letters].forEach((letter, index) => view.setUint8(offset + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, 36 + bytes, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // length of what follows
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, channels, true);
  view.setUint32(24, rate, true);
  view.setUint32(28, rate * channels * 2, true); // bytes per second
  view.setUint16(32, channels * 2, true); // bytes per frame
  view.setUint16(34, 16, true); // bits per sample
  text(36, "data");
  view.setUint32(40, bytes, true);
  return view.buffer;
}
