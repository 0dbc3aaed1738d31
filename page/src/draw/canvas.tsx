import { effect, signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

export interface Size {
  width: number;
  height: number;
}

/** Draws in CSS pixels on an empty canvas. Is called again when a signal that it read changes. */
export type Draw = (context: CanvasRenderingContext2D, size: Size) => void;

/** A picture that is as wide as its place, sharp on any screen. `label` is what a screen reader says of it. */
export function Canvas({ draw, label, className }: { draw: Draw; label?: string; className: string }) {
  const reference = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const canvas = reference.current!;
    const size = signal<Size>({ width: 0, height: 0 });
    const observer = new ResizeObserver(
      () => (size.value = { width: canvas.clientWidth, height: canvas.clientHeight }),
    );
    observer.observe(canvas);
    const stop = effect(() => paint(canvas, size.value, draw));
    return () => {
      observer.disconnect();
      stop();
    };
  }, [draw]);
  return (
    <canvas
      ref={reference}
      class={className}
      role={label ? "img" : undefined}
      aria-label={label}
      aria-hidden={!label}
    />
  );
}

function paint(canvas: HTMLCanvasElement, size: Size, draw: Draw): void {
  if (!size.width || !size.height) return;
  canvas.width = Math.round(size.width * devicePixelRatio);
  canvas.height = Math.round(size.height * devicePixelRatio);
  const context = canvas.getContext("2d")!;
  context.scale(devicePixelRatio, devicePixelRatio);
  draw(context, size);
}
