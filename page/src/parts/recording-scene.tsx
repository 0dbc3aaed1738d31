import type { Recording } from "../recording";
import { clock } from "../time/clock";
import type { Workspace } from "../workspace";
import { Icon } from "./icons";

export function RecordingScene({ workspace, recording }: { workspace: Workspace; recording: Recording }) {
  return (
    <section class="start" aria-labelledby="recording">
      <h2 id="recording">Recording</h2>
      <p class="time">{clock(recording.length.value)}</p>
      <meter class="level" min={0} max={1} value={recording.level.value} aria-label="Level of the microphone" />
      <div class="sources">
        <button type="button" class="primary" onClick={() => void workspace.open(recording.sound())}>
          <Icon name="stop" />
          Stop and open
        </button>
        <button type="button" onClick={() => workspace.restart()}>
          Discard
        </button>
      </div>
    </section>
  );
}
