import type { ReadonlySignal } from "@preact/signals";
import { useComputed, useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { Segment } from "../api/types";
import { emotionColour } from "../emotions";
import { percent } from "../format";
import { theme } from "../theme";
import { spoken } from "../time/clock";
import { segmentAt } from "../time/lookup";
import type { Range } from "../time/range";
import { place } from "../time/range";
import type { Control } from "./scrub";
import type { Voice } from "./tracks";

interface Props {
  voice: Voice;
  range: ReadonlySignal<Range>;
  control?: Control;
}

/**
 * Segments along the time. With a control they are a list box: one stop for the Tab key, arrow keys from segment to
 * segment, which moves the position there. Without one (live) they are a picture; the table beside it says the same.
 */
export function SegmentTrack({ voice, range, control }: Props) {
  if (control) return <SegmentList voice={voice} range={range} control={control} />;
  return (
    <div class="segments" aria-hidden="true">
      {visible(voice.segments, range.value).map(([index, segment]) => (
        <div key={index} class={kind(segment)} style={look(segment, range.value)}>
          <Label segment={segment} />
        </div>
      ))}
    </div>
  );
}

function SegmentList({ voice: { name, segments }, range, control: { view, player } }: Required<Props>) {
  const list = useRef<HTMLDivElement>(null);
  const playing = useComputed(() => segmentAt(segments, player.position.value));
  const active = useSignal(0);
  const go = (index: number) => {
    const segment = segments[index];
    if (!segment) return;
    active.value = index;
    player.seek(segment.start);
    view.follow(segment.start);
    // After the segment is there: it may have been outside of the screen.
    requestAnimationFrame(() => list.current?.querySelector<HTMLElement>(`[data-index="${index}"]`)?.focus());
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const target = { ArrowLeft: active.value - 1, ArrowRight: active.value + 1, Home: 0, End: segments.length - 1 }[
      event.key
    ];
    if (target !== undefined) go(target);
    else if (event.key === " " || event.key === "Enter") player.toggle();
    else return;
    event.preventDefault();
  };
  if (!segments.length) return <p class="segments note">No speech was found.</p>;
  const shown = visible(segments, range.value);
  // The Tab key needs a stop on the screen, also after the last one used has left it.
  const stop = shown.some(([index]) => index === active.value) ? active.value : shown[0]?.[0];
  return (
    <div
      ref={list}
      class="segments"
      role="listbox"
      aria-orientation="horizontal"
      aria-label={`Segments of ${name}`}
      onKeyDown={onKeyDown}
    >
      {shown.map(([index, segment]) => (
        <div
          key={index}
          data-index={index}
          class={kind(segment)}
          role="option"
          tabIndex={index === stop ? 0 : -1}
          aria-selected={index === playing.value}
          aria-setsize={segments.length}
          aria-posinset={index + 1}
          aria-label={inWords(segment)}
          title={inWords(segment)}
          style={look(segment, range.value)}
          onClick={() => go(index)}
          onFocus={() => (active.value = index)}
        >
          <Label segment={segment} />
        </div>
      ))}
    </div>
  );
}

/** The label; where it does not fit, its first two letters, which tell the labels of the bundled models apart. */
function Label({ segment }: { segment: Segment }) {
  return (
    <>
      <span>{inShort(segment)}</span>
      <b aria-hidden="true" data-letters={segment.label.slice(0, 2)} />
    </>
  );
}

function visible(segments: readonly Segment[], { start, end }: Range): [index: number, segment: Segment][] {
  return [...segments.entries()].filter(([, segment]) => segment.end > start && segment.start < end);
}

function look({ start, end, label }: Segment, range: Range) {
  return { ...extent(start, end, range), "--emotion": emotionColour(label, theme.value) };
}

/** Where a stretch of time lies on the screen. */
export function extent(start: number, end: number, range: Range) {
  const [left, right] = [start, end].map((time) => Math.max(0, Math.min(1, place(time, range)))) as [number, number];
  return { left: `${100 * left}%`, width: `${100 * (right - left)}%` };
}

function kind({ sure }: Segment): string {
  return sure ? "segment" : "segment unsure";
}

function inShort({ label, sure, doubt }: Segment): string {
  if (doubt === "no speech") return doubt;
  return sure ? label : `${label}?`;
}

function inWords({ label, sure, doubt, start, end, confidence }: Segment): string {
  return `${label}, ${sure ? "" : `unsure: ${doubt}, `}${percent(confidence)}, ${spoken(start)} to ${spoken(end)}`;
}
