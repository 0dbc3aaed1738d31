import type { Model } from "../api/types";
import type { Workspace } from "../workspace";

/** Which model listens, and which one beside it. Fixed while a live stream goes to them. */
export function ModelChoice({ workspace, models }: { workspace: Workspace; models: Model[] }) {
  const { first, second } = workspace;
  const scene = workspace.scene.value;
  const live = scene.kind === "live" && scene.live.status.value !== "ended";
  const choose = (name: string) => {
    first.value = name;
    if (second.value === name) second.value = null;
  };
  const others = models.filter(({ name }) => name !== first.value);
  return (
    <section class="models" aria-label="Models">
      <div class="field">
        <label for="first">Model</label>
        <select
          id="first"
          value={first.value}
          disabled={live}
          onChange={({ currentTarget }) => choose(currentTarget.value)}
        >
          {models.map((model) => (
            <option key={model.name} value={model.name}>
              {described(model)}
            </option>
          ))}
        </select>
      </div>
      <div class="field">
        <label for="second">Compare with</label>
        <select
          id="second"
          value={second.value ?? ""}
          disabled={live || !others.length}
          onChange={({ currentTarget }) => (second.value = currentTarget.value || null)}
        >
          <option value="">no other</option>
          {others.map((model) => (
            <option key={model.name} value={model.name}>
              {described(model)}
            </option>
          ))}
        </select>
      </div>
    </section>
  );
}

const LANGUAGES = new Intl.DisplayNames(["en"], { type: "language", fallback: "code" });

/** The name with the languages that it learned from and its labels. */
export function described({ name, languages, labels }: Model): string {
  const spoken = languages.map((language) => LANGUAGES.of(language) ?? language).join(" and ");
  return `${name}: ${[spoken, labels.join(", ")].filter(Boolean).join("; ")}`;
}
