import { signal } from "@preact/signals";
import type { Workspace } from "../workspace";
import { Dialog } from "./dialog";
import { ModelCard } from "./model-card";

/** The model whose card is shown; null while the dialog is closed, empty for the chosen model. */
const shown = signal<string | null>(null);

export function openAbout(model: string = ""): void {
  shown.value = model;
}

/** Intended use and limits in short, and each model's card in full. */
export function AboutDialog({ workspace }: { workspace: Workspace }) {
  const models = workspace.models.value;
  const list = models.status === "done" ? models.list : [];
  const name = shown.value || workspace.first.value;
  const model = list.find((model) => model.name === name);
  return (
    <Dialog title="Use and limits" open={shown.value !== null} onClose={() => (shown.value = null)}>
      <div class="about" tabIndex={0}>
        <ul>
          <li>
            It estimates the emotion that a voice <strong>displays</strong>. What somebody feels cannot be read from it.
          </li>
          <li>
            <strong>Not for decisions about people</strong>: not for hiring, work, school, credit, health, police or
            courts, and not for watching anyone without their knowledge and consent.
          </li>
          <li>
            The models that come with serkit have learned from actors, in English and German. On everyday speech, in
            other languages and in noise they are wrong more often than their scores say.
          </li>
          <li>
            {workspace.service.place === "server"
              ? "The sound goes to the server that gave you this page, and nowhere else. The server does not keep it."
              : "The sound stays in this browser. It is sent nowhere."}
          </li>
        </ul>
        {model && (
          <>
            <div class="field">
              <label for="card">Card of the model</label>
              <select
                id="card"
                value={model.name}
                onChange={({ currentTarget }) => (shown.value = currentTarget.value)}
              >
                {list.map(({ name }) => (
                  <option key={name}>{name}</option>
                ))}
              </select>
            </div>
            <ModelCard model={model} />
          </>
        )}
        <p class="note">
          The page contains other people's free software: <a href="LICENSES.txt">licences</a>.
        </p>
      </div>
    </Dialog>
  );
}
