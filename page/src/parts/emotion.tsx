import { emotionColour } from "../emotions";
import { theme } from "../theme";

/** An emotion's name with its colour beside it. */
export function Emotion({ label }: { label: string }) {
  return (
    <span class="emotion">
      <span class="swatch" style={{ backgroundColor: emotionColour(label, theme.value) }} />
      {label}
    </span>
  );
}
