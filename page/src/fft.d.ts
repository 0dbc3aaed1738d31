/** The part of fft.js that is used; it comes without types. */
declare module "fft.js" {
  export default class FFT {
    /** @param size a power of two */
    constructor(size: number);
    createComplexArray(): number[];
    /** Fills the first half of `output` (re, im, re, im, ...) with the spectrum of real `input`. */
    realTransform(output: number[], input: ArrayLike<number>): void;
  }
}
