import type { Analysis } from "../analysis";
import { percent } from "../format";
import { agreement } from "../time/lookup";

/** How far two models say the same. */
export function Agreement({ analyses }: { analyses: Analysis[] }) {
  const [first, second] = analyses.map(({ state }) => (state.value.status === "done" ? state.value.timeline : null));
  if (!first || !second) return null;
  const share = agreement(first.segments, second.segments);
  return (
    <p class="agreement">
      {share === null
        ? "The two models found no speech at the same time."
        : `The two models agree in ${percent(share)} of the speech that both found.`}
    </p>
  );
}
