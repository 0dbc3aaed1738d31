import type { ReadonlySignal } from "@preact/signals";
import { useSignalEffect } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { Range } from "../time/range";
import { place } from "../time/range";

/** The line at the position; moved without drawing anything anew. */
export function Playhead({ range, time }: { range: ReadonlySignal<Range>; time: ReadonlySignal<number> }) {
  const line = useRef<HTMLDivElement>(null);
  useSignalEffect(() => {
    const at = place(time.value, range.value);
    line.current!.style.left = `${100 * at}%`;
    line.current!.hidden = at < 0 || at > 1;
  });
  return <div ref={line} class="playhead" />;
}
