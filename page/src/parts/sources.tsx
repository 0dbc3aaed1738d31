import { useRef } from "preact/hooks";
import type { Workspace } from "../workspace";
import { Icon } from "./icons";

/** The three ways in: a file, a recording, a live stream. */
export function Sources({ workspace, first = false }: { workspace: Workspace; first?: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  const take = (files: FileList | null) => {
    const file = files?.[0];
    if (file) void workspace.openFile(file);
  };
  return (
    <div class="sources">
      <button type="button" class={first ? "primary" : ""} onClick={() => input.current!.click()}>
        <Icon name="file" />
        Open a file
      </button>
      <input
        ref={input}
        type="file"
        hidden
        aria-label="Sound file"
        accept="audio/*,video/*,.wav,.flac,.ogg,.opus,.mp3,.aiff,.aif,.au,.caf,.w64,.sph,.m4a,.wma,.amr,.3gp,.mka,.mkv"
        onChange={({ currentTarget }) => take(currentTarget.files)}
      />
      <button type="button" onClick={() => void workspace.record()}>
        <Icon name="record" />
        Record
      </button>
      <button type="button" onClick={() => void workspace.listen()}>
        <Icon name="live" />
        Listen live
      </button>
    </div>
  );
}
