import { announcement } from "./announce";
import { AboutDialog } from "./parts/about-dialog";
import { Header } from "./parts/header";
import { LiveScene } from "./parts/live-scene";
import { ModelChoice } from "./parts/model-choice";
import { Busy, Problem } from "./parts/notices";
import { RecordingScene } from "./parts/recording-scene";
import { SoundScene } from "./parts/sound-scene";
import { StartScene } from "./parts/start-scene";
import { TokenDialog } from "./parts/token-dialog";
import { useFileDrop } from "./parts/file-drop";
import type { Workspace } from "./workspace";

export function App({ workspace }: { workspace: Workspace }) {
  const models = workspace.models.value;
  const dropping = useFileDrop(workspace);
  return (
    <>
      <a class="skip" href="#main">
        Skip to the sound
      </a>
      <Header />
      <main id="main" class={dropping.value ? "dropping" : ""}>
        {models.status === "busy" && <Busy text="Asking for the models" />}
        {models.status === "failed" && <Problem text={models.error} onRetry={() => void workspace.loadModels()} />}
        {models.status === "done" && (
          <>
            <ModelChoice workspace={workspace} models={models.list} />
            {workspace.problem.value && <Problem text={workspace.problem.value} />}
            <CurrentScene workspace={workspace} />
          </>
        )}
      </main>
      <p class="spoken" role="status">
        {announcement}
      </p>
      <AboutDialog workspace={workspace} />
      <TokenDialog />
    </>
  );
}

function CurrentScene({ workspace }: { workspace: Workspace }) {
  const scene = workspace.scene.value;
  switch (scene.kind) {
    case "start":
      return <StartScene workspace={workspace} />;
    case "waiting":
      return <Busy text={scene.text} />;
    case "recording":
      return <RecordingScene workspace={workspace} recording={scene.recording} />;
    case "sound":
      return <SoundScene workspace={workspace} open={scene.open} />;
    case "live":
      return <LiveScene workspace={workspace} live={scene.live} />;
  }
}
