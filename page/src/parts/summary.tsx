import type { Analysis } from "../analysis";
import { channelName, overall } from "../analysis";
import type { Answer, Model, Segment } from "../api/types";
import { emotionColour } from "../emotions";
import { percent, thousands } from "../format";
import { theme } from "../theme";
import { shares } from "../time/lookup";
import { openAbout } from "./about-dialog";
import { Emotion } from "./emotion";
import { Busy, Problem } from "./notices";

/** What a model says of the sound as a whole. */
export function Summary({ analysis, model }: { analysis: Analysis; model: Model | undefined }) {
  const state = analysis.state.value;
  return (
    <section
      class="panel summary"
      aria-label={`${analysis.model}: the whole sound`}
      aria-busy={state.status === "busy"}
    >
      <div class="summary-head">
        <h3>{analysis.model}</h3>
        {model && <p class="note">{facts(model)}</p>}
        <button type="button" class="link" onClick={() => openAbout(analysis.model)}>
          Card
        </button>
      </div>
      {state.status === "busy" && <Busy text="Listening" />}
      {state.status === "failed" && <Problem text={state.error} onRetry={() => void analysis.start()} />}
      {state.status === "done" && (
        <>
          {state.timeline.answers.map((answer) => (
            <Verdict key={answer.channel} answer={answer} segments={segmentsOf(answer, state.timeline.segments)} />
          ))}
          {state.timeline.warnings.map((warning) => (
            <p key={warning} class="warning">
              {warning}
            </p>
          ))}
        </>
      )}
    </section>
  );
}

function segmentsOf({ channel }: Answer, segments: readonly Segment[]): Segment[] {
  return segments.filter((segment) => (segment.channel ?? null) === (channel ?? null));
}

/** The answer for the whole sound, and beneath it what its segments say: the two can differ. */
function Verdict({ answer, segments }: { answer: Answer; segments: readonly Segment[] }) {
  const { channel, label, confidence, sure, doubt, probabilities } = answer;
  const name = typeof channel === "number" ? channelName(channel) : null;
  return (
    <>
      {name && <h4 class="channel">{name}</h4>}
      <p class="verdict">
        <strong>
          <Emotion label={overall(answer)} />
        </strong>
        <span class="note">
          {!sure && `${overall(answer) === doubt ? "" : `${doubt}; `}most probable: ${label}, `}
          {percent(confidence)}
        </span>
      </p>
      {segments.length > 0 && <p class="note composition">{composition(segments)}</p>}
      <ul class="bars" aria-label={name ? `Probabilities of ${name}` : "Probabilities"}>
        {Object.entries(probabilities).map(([label, probability]) => (
          <li key={label}>
            <span class="bar-name">{label}</span>
            <span class="bar">
              <span style={{ width: `${100 * probability}%`, backgroundColor: emotionColour(label, theme.value) }} />
            </span>
            <span class="figure">{percent(probability)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

function facts({ languages, parameters, megabytes }: Model): string {
  return [languages.join(", "), `${thousands(parameters)} parameters`, `${megabytes.toFixed(1)} MB`]
    .filter(Boolean)
    .join(" · ");
}

function composition(segments: readonly Segment[]): string {
  const parts = shares(segments).map(([label, share]) => `${label} ${percent(share)}`);
  return `By segments: ${parts.join(", ")} of the speech.`;
}
