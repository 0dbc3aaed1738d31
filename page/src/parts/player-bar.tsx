import type { Player } from "../sound/player";
import { clock, spoken } from "../time/clock";
import type { TimeView } from "../time/range";
import { Icon } from "./icons";

const CLOSER = 2;

/** Playing, the position, and how close to look. */
export function PlayerBar({ player, view, playable }: { player: Player; view: TimeView; playable: boolean }) {
  const playing = player.playing.value;
  return (
    <div class="player">
      {playable ? (
        <button
          type="button"
          class="primary square"
          aria-label={playing ? "Pause" : "Play"}
          onClick={() => player.toggle()}
        >
          <Icon name={playing ? "pause" : "play"} />
        </button>
      ) : (
        <p class="note">The browser cannot play this format; the server can read it.</p>
      )}
      <Position player={player} duration={view.duration} />
      <Zoom player={player} view={view} />
    </div>
  );
}

function Position({ player, duration }: { player: Player; duration: number }) {
  const position = player.position.value;
  return (
    <>
      <input
        type="range"
        aria-label="Position"
        aria-valuetext={`${spoken(position)} of ${spoken(duration)}`}
        min={0}
        max={duration}
        step={0.1}
        value={position}
        onInput={({ currentTarget }) => player.seek(Number(currentTarget.value))}
      />
      <span class="time">
        {clock(position)} <span class="note">/ {clock(duration)}</span>
      </span>
    </>
  );
}

function Zoom({ player, view }: { player: Player; view: TimeView }) {
  const zoom = (factor: number) => {
    const { start, end } = view.range.peek();
    const position = player.position.peek();
    const seen = position >= start && position <= end;
    view.zoom(factor, seen ? position : (start + end) / 2);
  };
  return (
    <div class="zoom" role="group" aria-label="Zoom">
      <button type="button" class="quiet square" aria-label="Closer" title="Closer" onClick={() => zoom(CLOSER)}>
        <Icon name="closer" />
      </button>
      <button
        type="button"
        class="quiet square"
        aria-label="Further away"
        title="Further away"
        disabled={view.whole}
        onClick={() => zoom(1 / CLOSER)}
      >
        <Icon name="further" />
      </button>
      <button
        type="button"
        class="quiet square"
        aria-label="Whole sound"
        title="Whole sound"
        disabled={view.whole}
        onClick={() => view.fit()}
      >
        <Icon name="whole" />
      </button>
    </div>
  );
}
