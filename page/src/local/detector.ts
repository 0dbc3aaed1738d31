/** The voice activity detector of the WebRTC project, as in Python's `webrtcvad`. */
import fvad from "@echogarden/fvad-wasm";
import { RATE, type Detector } from "./activity";

/** 0 accepts most frames as speech, 3 fewest; as in Python. */
const STRICTNESS = 2;
const FRAME = 320;

type Fvad = Awaited<ReturnType<typeof fvad>>;

/** Makes detectors. @param wasm content of `fvad.wasm` */
export async function loadDetectors(wasm: ArrayBuffer): Promise<() => Detector> {
  const library = await fvad({ wasmBinary: wasm });
  return () => new WebRtc(library);
}

class WebRtc implements Detector {
  readonly frame = FRAME;
  private readonly state: number;
  private readonly memory: number;

  constructor(private readonly library: Fvad) {
    this.state = library._fvad_new();
    library._fvad_set_mode(this.state, STRICTNESS);
    library._fvad_set_sample_rate(this.state, RATE);
    this.memory = library._malloc(FRAME * Int16Array.BYTES_PER_ELEMENT);
  }

  isSpeech(frame: Float32Array): boolean {
    const { library, memory } = this;
    // Truncated towards zero, as NumPy does.
    const values = Int16Array.from(frame, (sample) => Math.max(-32768, Math.min(32767, Math.fround(sample * 32767))));
    library.HEAP16.set(values, memory / Int16Array.BYTES_PER_ELEMENT);
    return library._fvad_process(this.state, memory, FRAME) === 1;
  }

  close(): void {
    this.library._fvad_free(this.state);
    this.library._free(this.memory);
  }
}
