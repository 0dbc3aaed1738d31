import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import type { Analysis } from "../analysis";
import { channelName } from "../analysis";
import type { OpenSound } from "../open-sound";
import { TimeView } from "../time/range";
import type { Workspace } from "../workspace";
import { Agreement } from "./agreement";
import { ChannelChoice } from "./channel-choice";
import { Downloads, timelinesOf } from "./downloads";
import { PlayerBar } from "./player-bar";
import { SegmentTable } from "./segment-table";
import { Sources } from "./sources";
import { Summary } from "./summary";
import type { Voice } from "./tracks";
import { Tracks } from "./tracks";

/** A sound, and what one or two models say of it. */
export function SoundScene({ workspace, open }: { workspace: Workspace; open: OpenSound }) {
  const analyses = workspace.chosen.value.map((model) => open.analysis(model));
  const duration = open.duration ?? measured(analyses);
  const view = useMemo(() => (duration === null ? null : new TimeView(duration)), [open, duration]);
  useFollow(open, view);
  const picture = useSignal(open.picture);
  return (
    <>
      <section class="sound-head" aria-labelledby="sound">
        <h2 id="sound">{open.sound.name}</h2>
        {open.channels > 1 && <ChannelChoice open={open} />}
        <Sources workspace={workspace} />
      </section>
      <div class="beside">
        {analyses.map((analysis) => (
          <Summary key={analysis.model} analysis={analysis} model={workspace.model(analysis.model)} />
        ))}
      </div>
      <Agreement analyses={analyses} />
      {view && (
        <section class="panel" aria-label="Timeline">
          <PlayerBar player={open.player} view={view} playable={open.picture !== null} />
          <Tracks
            picture={picture}
            range={view.range}
            time={open.player.position}
            voices={voices(analyses)}
            control={{ view, player: open.player }}
          />
        </section>
      )}
      <div class="beside">
        {analyses.map((analysis) => (
          <SegmentTable key={analysis.model} analysis={analysis} onPick={(time) => open.player.seek(time)} />
        ))}
      </div>
      <Downloads sources={timelinesOf(workspace.service, analyses)} title="Download the timeline" />
    </>
  );
}

/** Turns the page of the timeline while the sound plays on. */
function useFollow({ player }: OpenSound, view: TimeView | null): void {
  useEffect(() => player.position.subscribe((time) => view?.follow(time)), [player, view]);
}

/** For a sound that the browser cannot measure: what the first answer says. */
function measured(analyses: Analysis[]): number | null {
  for (const { state } of analyses) if (state.value.status === "done") return state.value.timeline.duration;
  return null;
}

function voices(analyses: Analysis[]): Voice[] {
  return analyses.flatMap(({ state, model }) => {
    if (state.value.status !== "done") return [];
    const { labels, channels, windows, segments } = state.value.timeline;
    if (!channels) return [{ model, name: model, labels, windows, segments }];
    return channels.map((channel) => ({
      model,
      name: `${model}, ${channelName(channel)}`,
      labels,
      windows: windows.filter((window) => window.channel === channel),
      segments: segments.filter((segment) => segment.channel === channel),
    }));
  });
}
