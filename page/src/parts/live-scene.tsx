import { useComputed } from "@preact/signals";
import type { Service } from "../api/service";
import type { Live } from "../live";
import { percent } from "../format";
import { clock } from "../time/clock";
import type { Workspace } from "../workspace";
import { Emotion } from "./emotion";
import { Icon } from "./icons";
import { Busy, Problem } from "./notices";
import { Segments } from "./segment-table";
import { Sources } from "./sources";
import { Tracks } from "./tracks";

/** What a model hears at the moment. */
export function LiveScene({ workspace, live }: { workspace: Workspace; live: Live }) {
  const status = live.status.value;
  const newest = useComputed(() => live.windows.value.at(-1)?.end ?? 0);
  const voice = {
    name: live.model,
    labels: live.labels.value,
    windows: live.windows.value,
    segments: live.segments.value,
  };
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
      <section class="panel" aria-label="Now">
        <Now live={live} />
        <Figures live={live} place={workspace.service.place} />
      </section>
      <section class="panel" aria-label="The last 30 seconds">
        <Tracks picture={live.picture} range={live.range} time={newest} voices={[voice]} />
      </section>
      <section class="panel" aria-labelledby="heard">
        <h3 id="heard">Segments, newest first</h3>
        {live.segments.value.length ? (
          <Segments segments={live.segments.value.toReversed()} />
        ) : (
          <p class="note">As soon as somebody speaks, segments come here.</p>
        )}
      </section>
    </>
  );
}

function Now({ live }: { live: Live }) {
  const window = live.windows.value.at(-1);
  const segment = live.segments.value.at(-1);
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

function Figures({ live, place }: { live: Live; place: Service["place"] }) {
  const said = live.figures.value;
  const latency = live.latency.value;
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
