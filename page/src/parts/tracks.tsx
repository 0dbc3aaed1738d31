import type { ReadonlySignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useCallback, useRef } from "preact/hooks";
import type { Segment, Window } from "../api/types";
import { drawAxis } from "../draw/axis";
import type { Draw } from "../draw/canvas";
import { Canvas } from "../draw/canvas";
import type { Picture } from "../draw/picture";
import { drawSpectrogram } from "../draw/spectrogram";
import { drawWaveform } from "../draw/waveform";
import { theme } from "../theme";
import type { Range } from "../time/range";
import { DisagreementTrack } from "./disagreement-track";
import { Playhead } from "./playhead";
import { Probabilities } from "./probabilities";
import type { Control } from "./scrub";
import { useScrub } from "./scrub";
import { SegmentTrack } from "./segment-track";

/** What one model says along the time. */
export interface Voice {
  model: string;
  /** The model, with the channel if each has its own timeline. */
  name: string;
  labels: readonly string[];
  windows: readonly Window[];
  segments: readonly Segment[];
}

interface Props {
  picture: ReadonlySignal<Picture | null>;
  range: ReadonlySignal<Range>;
  /** What the figures at the right are for, in s. */
  time: ReadonlySignal<number>;
  voices: Voice[];
  /** What the pointer and the arrow keys move; nothing in a live stream. */
  control?: Control;
}

/** Waveform, log-mel spectrogram, segments and probabilities over one time axis. */
export function Tracks({ picture, range, time, voices, control }: Props) {
  const lane = useRef<HTMLDivElement>(null);
  const scrub = useScrub(lane, control);
  const pairs = compared(voices);
  return (
    <div class={control ? "tracks" : "tracks live"} {...scrub}>
      <div class="lane" ref={lane}>
        {control && <Playhead range={range} time={time} />}
      </div>
      <Track name="">
        <Canvas
          className="axis"
          draw={useCallback<Draw>((to, size) => drawAxis(to, size, range.value, theme.value), [range])}
        />
      </Track>
      <SoundTracks picture={picture} range={range} />
      {voices.map((voice) => (
        <section key={voice.name} aria-label={`${voice.name} along the time`}>
          {voices.length > 1 && <h3 class="voice">{voice.name}</h3>}
          <Track name="segments">
            <SegmentTrack voice={voice} range={range} control={control} />
          </Track>
          <Probabilities voice={voice} range={range} time={time} />
        </section>
      ))}
      {pairs && (
        <section aria-label="Where the models differ">
          {pairs.map((pair) => (
            <Track key={pair[0].name} name="differ">
              <DisagreementTrack voices={pair} range={range} />
            </Track>
          ))}
        </section>
      )}
    </div>
  );
}

/** The voices of two models that stand for the same channel. */
function compared(voices: Voice[]): [Voice, Voice][] | null {
  const models = [...new Set(voices.map(({ model }) => model))];
  if (models.length !== 2) return null;
  const [first, second] = models.map((model) => voices.filter((voice) => voice.model === model)) as [Voice[], Voice[]];
  return first.flatMap((voice, index): [Voice, Voice][] => (second[index] ? [[voice, second[index]]] : []));
}

function SoundTracks({ picture, range }: Pick<Props, "picture" | "range">) {
  const waveform = useCallback<Draw>(
    (to, size) => picture.value && drawWaveform(to, size, picture.value.envelope, range.value, theme.value),
    [picture, range],
  );
  const spectrogram = useCallback<Draw>(
    (to, size) => picture.value && drawSpectrogram(to, size, picture.value.samples, range.value, theme.value),
    [picture, range],
  );
  if (!picture.value) return null;
  return (
    <>
      <Track name="waveform">
        <Canvas className="waveform" draw={waveform} label="Waveform" />
      </Track>
      <Track name="log-mel" from="60 Hz" to="7.8 kHz">
        <Canvas className="spectrogram" draw={spectrogram} label="Log-mel spectrogram" />
      </Track>
    </>
  );
}

interface RowProps {
  name: string;
  /** Values at the bottom and at the top, where they are not plain. */
  from?: string;
  to?: string;
  figure?: ComponentChildren;
  children: ComponentChildren;
}

/** A row: its name at the left, what runs along the time in the middle, a figure at the right. */
export function Track(row: RowProps) {
  return (
    <div class="track">
      <span class="track-name">
        {row.to && <small>{row.to}</small>}
        {row.name}
        {row.from && <small>{row.from}</small>}
      </span>
      {row.children}
      <span class="figure">{row.figure}</span>
    </div>
  );
}
