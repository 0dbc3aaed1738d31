import type { Analysis } from "../analysis";
import type { Segment } from "../api/types";
import { percent } from "../format";
import { clock } from "../time/clock";
import { Collapsible } from "./collapsible";
import { Emotion } from "./emotion";

/** The timeline as a table: the same for those who do not see the picture. */
export function SegmentTable({ analysis, onPick }: { analysis: Analysis; onPick: (time: number) => void }) {
  const state = analysis.state.value;
  if (state.status !== "done") return null;
  const { segments } = state.timeline;
  return (
    <Collapsible title={`Segments of ${analysis.model}`} label={`Segments of ${analysis.model} as a table`}>
      {segments.length ? <Segments segments={segments} onPick={onPick} /> : <p class="note">No speech was found.</p>}
    </Collapsible>
  );
}

/** Rows of segments. With `onPick` the start is a button that takes the position there. */
export function Segments({ segments, onPick }: { segments: readonly Segment[]; onPick?: (time: number) => void }) {
  const several = segments.some(({ channel }) => typeof channel === "number");
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label="Rows of segments">
      <table>
        <thead>
          <tr>
            {several && <th scope="col">Channel</th>}
            <th scope="col">Start</th>
            <th scope="col">End</th>
            <th scope="col">Emotion</th>
            <th scope="col">Confidence</th>
          </tr>
        </thead>
        <tbody>
          {segments.map(({ channel, start, end, label, sure, doubt, confidence }) => (
            <tr key={`${channel} ${start}`}>
              {several && <td>{channelNumber(channel)}</td>}
              <td>
                {onPick ? (
                  <button type="button" class="link" aria-label={`Go to ${clock(start)}`} onClick={() => onPick(start)}>
                    {clock(start)}
                  </button>
                ) : (
                  clock(start)
                )}
              </td>
              <td>{clock(end)}</td>
              <td>
                <Emotion label={label} />
                {!sure && <span class="note"> unsure: {doubt}</span>}
              </td>
              <td>{percent(confidence)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** People count channels from 1. */
function channelNumber(channel: number | null | undefined): string {
  return typeof channel === "number" ? String(channel + 1) : "";
}
