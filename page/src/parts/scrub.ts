import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { Player } from "../sound/player";
import type { TimeView } from "../time/range";
import { timeAt } from "../time/range";

/** What a timeline moves. */
export interface Control {
  view: TimeView;
  player: Player;
}

/** Change of zoom for one pixel of wheel. */
const WHEEL = 1.004;

/**
 * Lets the pointer drag the position along the lane, and the wheel move it: sideways pans, with Ctrl zooms.
 *
 * @returns handlers for the element around the lane
 */
export function useScrub(lane: RefObject<HTMLElement | null>, control: Control | undefined) {
  const dragging = useRef(false);
  const timeUnder = (x: number): number => {
    const { left, width } = lane.current!.getBoundingClientRect();
    const place = Math.max(0, Math.min(1, (x - left) / width));
    return Math.min(control!.view.duration, timeAt(place, control!.view.range.peek()));
  };
  useEffect(() => {
    if (!control) return undefined;
    const { view } = control;
    const around = lane.current!.parentElement!;
    // Not as a property: the page would scroll and zoom too, unless the listener is said not to be passive.
    const wheel = (event: WheelEvent) => {
      if (event.ctrlKey) view.zoom(WHEEL ** -event.deltaY, timeUnder(event.clientX));
      else if (event.deltaX) view.pan((event.deltaX / lane.current!.clientWidth) * length(view));
      else return;
      event.preventDefault();
    };
    around.addEventListener("wheel", wheel, { passive: false });
    return () => around.removeEventListener("wheel", wheel);
  }, [control?.view]);
  if (!control) return {};
  return {
    onPointerDown: (event: PointerEvent) => {
      const { left, right } = lane.current!.getBoundingClientRect();
      const outside = event.clientX < left || event.clientX > right;
      if (outside || event.button !== 0 || (event.target as Element).closest("[role=option]")) return;
      dragging.current = true;
      (event.currentTarget as Element).setPointerCapture(event.pointerId);
      control.player.seek(timeUnder(event.clientX));
    },
    onPointerMove: (event: PointerEvent) => {
      if (dragging.current) control.player.seek(timeUnder(event.clientX));
    },
    onPointerUp: () => (dragging.current = false),
    onPointerCancel: () => (dragging.current = false),
  };
}

function length({ range }: TimeView): number {
  const { start, end } = range.peek();
  return end - start;
}
