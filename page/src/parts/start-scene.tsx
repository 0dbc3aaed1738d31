import type { Workspace } from "../workspace";
import { Sources } from "./sources";

export function StartScene({ workspace }: { workspace: Workspace }) {
  return (
    <section class="start drop" aria-labelledby="start">
      <h2 id="start">Drop a recording of speech here</h2>
      <p>WAV, FLAC, OGG, MP3 and others. Or record, or listen live: results come while you speak.</p>
      <Sources workspace={workspace} first />
      <p class="note">
        No recording at hand?{" "}
        <button type="button" class="link" onClick={() => void workspace.openSample()}>
          Try a sample
        </button>{" "}
        of a synthetic voice: it shows how the page works, not how well the models do.
      </p>
      <p class="note">The sound goes to this server only, and is not kept.</p>
    </section>
  );
}
