import { useComputed } from "@preact/signals";
import type { Service } from "../api/service";
import { percent } from "../format";
import type { Live, LiveAnswer } from "../live";
import { LIVE } from "../live";
import { FORMATS } from "../local/formats";
import { clock } from "../time/clock";
import type { Workspace } from "../workspace";
import type { TimelineSource } from "./downloads";
import { Downloads } from "./downloads";
import { Emotion } from "./emotion";
import { Icon } from "./icons";
import { Busy, Problem } from "./notices";
import { Segments } from "./segment-table";
import { Sources } from "./sources";
import { Tracks } from "./tracks";

/** What a model hears at the moment. */
export function LiveScene({ workspace, live }: { workspace: Workspace; live: Live }) {
  const status = live.status.value;
  const newest = useComputed(() => live.answers[0]!.windows.value.at(-1)?.end ?? 0);
  const voices = live.answers.map(({ model, labels, windows, segments }) => ({
    model,
    name: model,
    labels: labels.value,
    windows: windows.value,
    segments: segments.value,
  }));
  return (
    <>
      <section class="sound-head" aria-labelledby="live">
        <h2 id="live">{status === "listening" ? "Listening live" : "Live stream, stopped"}</h2>
        {status === "listening" && (
          <button type="button" class="primary" onClick={() => void live.finish()}>
            <Icon name="stop" />
            Stop
          </button>
        )}
        {status === "finishing" && <Busy text="Waiting for the last results" />}
        {status === "ended" && <Sources workspace={workspace} />}
      </section>
      {live.error.value && <Problem text={live.error.value} />}
      <div class="beside">
        {live.answers.map((answer) => (
          <section key={answer.model} class="panel" aria-label={`${answer.model}: now`}>
            {live.answers.length > 1 && <h3>{answer.model}</h3>}
            <Now answer={answer} />
            <Figures live={live} answer={answer} place={workspace.service.place} />
          </section>
        ))}
      </div>
      <section class="panel" aria-label="The last 30 seconds">
        <Tracks picture={live.picture} range={live.range} time={newest} voices={voices} />
      </section>
      <div class="beside">
        {voices.map(({ name, segments }) => (
          <section key={name} class="panel" aria-label={`Segments of ${name}, newest first`}>
            <h3>{voices.length > 1 ? `Segments of ${name}, newest first` : "Segments, newest first"}</h3>
            {segments.length ? (
              <Segments segments={segments.toReversed()} />
            ) : (
              <p class="note">As soon as somebody speaks, segments come here.</p>
            )}
          </section>
        ))}
      </div>
      {status === "ended" && <Downloads sources={downloads(live)} title="Download the segments" />}
    </>
  );
}

/** The segments as files, written by the page: the server has no sound to read again. */
function downloads(live: Live): TimelineSource[] {
  const time = new Date().toTimeString().slice(0, 8).replaceAll(":", "-");
  return live.answers
    .filter(({ segments }) => segments.value.length)
    .map((answer) => ({
      model: answer.model,
      stem: `${LIVE} ${time}`,
      formats: Object.keys(FORMATS),
      file: async (format) => new Blob([FORMATS[format]!(answer.timeline(live.now.peek()))]),
    }));
}

function Now({ answer }: { answer: LiveAnswer }) {
  const window = answer.windows.value.at(-1);
  const segment = answer.segments.value.at(-1);
  const speaking = window?.probabilities && segment;
  return (
    <p class="verdict">
      <strong>{speaking ? <Emotion label={segment.label} /> : window ? "no speech" : "…"}</strong>
      {speaking && (
        <span class="note">
          {percent(segment.confidence)}
          {!segment.sure && ", unsure"}
        </span>
      )}
    </p>
  );
}

function milliseconds(value: number | null): string {
  return value === null ? "–" : `${Math.round(value)} ms`;
}

function Figures({ live, answer, place }: { live: Live; answer: LiveAnswer; place: Service["place"] }) {
  const said = answer.figures.value;
  const latency = answer.latency.value;
  const figures = [
    ["Time", clock(live.now.value, 0)],
    ["Latency", milliseconds(latency)],
    [
      `of it in the ${place}`,
      said ? `${milliseconds(said.recognizer.p50)}, p95 ${milliseconds(said.recognizer.p95)}` : "–",
    ],
    ["Received", said ? `${said.received.toFixed(1)} s` : "–"],
    ["Dropped", said ? `${said.dropped.toFixed(1)} s` : "–"],
  ];
  return (
    <dl class="figures">
      {figures.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}
