import type { Samples } from "../sound/samples";
import type { Envelope } from "./envelope";

/** A sound, ready to be drawn. */
export interface Picture {
  samples: Samples;
  envelope: Envelope;
}
