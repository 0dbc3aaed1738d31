/** The microphone as PCM: an AudioWorklet, because MediaRecorder gives compressed sound. */
export class Microphone {
  private constructor(
    private readonly context: AudioContext,
    private readonly media: MediaStream,
    private readonly capture: AudioWorkletNode,
  ) {}

  /** Asks for the microphone. @throws Error with one line to show */
  static async open(): Promise<Microphone> {
    if (!navigator.mediaDevices) {
      throw new Error("The browser gives a microphone only to pages from https or from this machine (localhost).");
    }
    const media = await navigator.mediaDevices.getUserMedia({ audio: UNTOUCHED }).catch((error: DOMException) => {
      throw new Error(REFUSALS[error.name] ?? `The microphone cannot be used: ${error.message}`);
    });
    const context = new AudioContext();
    await context.audioWorklet.addModule(new URL("capture.js", document.baseURI));
    const capture = new AudioWorkletNode(context, "capture", {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: "explicit",
    });
    context.createMediaStreamSource(media).connect(capture);
    return new Microphone(context, media, capture);
  }

  /** In Hz; the browser's own, because not every browser resamples a microphone. */
  get rate(): number {
    return this.context.sampleRate;
  }

  listen(onSamples: (samples: Float32Array) => void): void {
    this.capture.port.onmessage = ({ data }) => onSamples(data);
  }

  close(): void {
    this.capture.port.onmessage = null;
    this.media.getTracks().forEach((track) => track.stop());
    void this.context.close();
  }
}

/** What makes calls pleasant takes from the voice what is to be recognised. */
const UNTOUCHED = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };

const REFUSALS: Record<string, string> = {
  NotAllowedError: "The microphone was not allowed. Allow it in the browser's site settings, then try again.",
  NotFoundError: "No microphone was found.",
  NotReadableError: "The microphone is in use by another program.",
};
