declare module "@echogarden/fvad-wasm" {
  /** What the module exports of the C library; addresses are numbers. */
  interface Fvad {
    HEAP16: Int16Array;
    _malloc(bytes: number): number;
    _free(address: number): void;
    _fvad_new(): number;
    _fvad_free(state: number): void;
    _fvad_set_mode(state: number, mode: number): number;
    _fvad_set_sample_rate(state: number, rate: number): number;
    /** 1: speech, 0: none, -1: wrong length. */
    _fvad_process(state: number, address: number, samples: number): number;
  }
  export default function fvad(options: { wasmBinary: ArrayBuffer }): Promise<Fvad>;
}
