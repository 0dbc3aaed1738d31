import type { ReadonlySignal } from "@preact/signals";
import { useCallback } from "preact/hooks";
import type { Draw } from "../draw/canvas";
import { Canvas } from "../draw/canvas";
import { drawProbability } from "../draw/probability";
import { emotionColour } from "../emotions";
import { percent } from "../format";
import { theme } from "../theme";
import { windowAt } from "../time/lookup";
import type { Range } from "../time/range";
import type { Voice } from "./tracks";
import { Track } from "./tracks";

interface Props {
  voice: Voice;
  range: ReadonlySignal<Range>;
  time: ReadonlySignal<number>;
}

/** A row per label, so that no curve is told from another by its colour alone. */
export function Probabilities({ voice, range, time }: Props) {
  return (
    <>
      <p class="scale">each row: 0 to 100 %, line at 50 %</p>
      {voice.labels.map((label) => (
        <Row key={label} label={label} voice={voice} range={range} time={time} />
      ))}
    </>
  );
}

function Row({ label, voice, range, time }: Props & { label: string }) {
  const { windows } = voice;
  const draw = useCallback<Draw>(
    (to, size) =>
      drawProbability(to, size, windows, label, emotionColour(label, theme.value), range.value, theme.value),
    [windows, label, range],
  );
  return (
    <Track name={label} figure={<Figure label={label} windows={windows} time={time} />}>
      <Canvas className="probability" draw={draw} />
    </Track>
  );
}

/** The probability at the position. Drawn anew only when its text changes. */
function Figure({ label, windows, time }: { label: string; time: Props["time"] } & Pick<Voice, "windows">) {
  const probability = windowAt(windows, time.value)?.probabilities?.[label];
  return <>{probability === undefined ? "–" : percent(probability)}</>;
}
