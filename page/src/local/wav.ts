/** Samples of a WAV file, full scale 1.0. */
export interface Wav {
  /** In Hz. */
  rate: number;
  channels: Float32Array[];
}

const PCM = 1;
const FLOAT = 3;
/** The format is then in the first two bytes of the subformat. */
const EXTENSIBLE = 0xfffe;

/** Reads integers of 8, 16, 24 or 32 bits and floats of 32; null for everything else, which the browser may decode. */
export function readWav(content: ArrayBuffer): Wav | null {
  const view = new DataView(content);
  const mark = (at: number) => String.fromCharCode(...new Uint8Array(content, at, 4));
  if (content.byteLength < 12 || mark(0) !== "RIFF" || mark(8) !== "WAVE") return null;
  let format: { kind: number; count: number; rate: number; bytes: number } | null = null;
  for (let at = 12; at + 8 <= content.byteLength;) {
    const size = view.getUint32(at + 4, true);
    const body = at + 8;
    if (mark(at) === "fmt " && body + 16 <= content.byteLength) {
      const written = view.getUint16(body, true);
      const kind = written === EXTENSIBLE && size >= 26 ? view.getUint16(body + 24, true) : written;
      format = {
        kind,
        count: view.getUint16(body + 2, true),
        rate: view.getUint32(body + 4, true),
        bytes: view.getUint16(body + 14, true) / 8,
      };
    }
    if (mark(at) === "data") {
      const value = format && decoder(format.kind, format.bytes);
      if (!format || !value || !format.count || !format.rate) return null;
      const { count, rate, bytes } = format;
      // A truncated file, or one whose length was never written, ends where its content ends.
      const frames = Math.floor(Math.min(size, content.byteLength - body) / (count * bytes));
      const channels = Array.from({ length: count }, (_, channel) =>
        Float32Array.from({ length: frames }, (_, frame) => value(view, body + (frame * count + channel) * bytes)),
      );
      return { rate, channels };
    }
    at = body + size + (size % 2);
  }
  return null;
}

function decoder(kind: number, bytes: number): ((view: DataView, at: number) => number) | null {
  if (kind === FLOAT && bytes === 4) return (view, at) => view.getFloat32(at, true);
  if (kind !== PCM) return null;
  switch (bytes) {
    case 1:
      return (view, at) => (view.getUint8(at) - 128) / 128;
    case 2:
      return (view, at) => view.getInt16(at, true) / 32768;
    case 3:
      return (view, at) => ((view.getInt8(at + 2) << 16) | view.getUint16(at, true)) / 8388608;
    case 4:
      return (view, at) => view.getInt32(at, true) / 2147483648;
    default:
      return null;
  }
}
