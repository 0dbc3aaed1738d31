import type { Model } from "../api/types";
import type { Workspace } from "../workspace";

/** Which model listens, and which one beside it. Fixed while a live stream goes to the model. */
export function ModelChoice({ workspace, models }: { workspace: Workspace; models: Model[] }) {
  const { first, second } = workspace;
  const live = workspace.scene.value.kind === "live";
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
          {models.map(({ name }) => (
            <option key={name}>{name}</option>
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
          {others.map(({ name }) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </div>
    </section>
  );
}
