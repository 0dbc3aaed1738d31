import type { Theme } from "./theme";

type Colours = Record<Theme, string>;

/**
 * A colour for each of serkit's emotions. The first eight, those of the bundled recognisers, were found by a search over
 * lightness, chroma and hue for the largest least distance between two of them under normal vision and three kinds of
 * colour blindness, with a contrast of 3:1 to the page; `tests/emotions.test.ts` holds both.
 */
const COLOURS: Record<string, Colours> = {
  anger: { light: "#c73b11", dark: "#f76659" },
  boredom: { light: "#9d8074", dark: "#8e5d37" },
  disgust: { light: "#0b4502", dark: "#7fd3a1" },
  fear: { light: "#89459f", dark: "#c14cbf" },
  happiness: { light: "#cd7f20", dark: "#e5b22f" },
  neutral: { light: "#4e4f57", dark: "#95a1aa" },
  sadness: { light: "#3c5dde", dark: "#3881fd" },
  surprise: { light: "#2598c0", dark: "#71f4f5" },
  calm: { light: "#3f8f86", dark: "#7fc9bf" },
  contempt: { light: "#7d3350", dark: "#d98aa8" },
  excitement: { light: "#c2571a", dark: "#f0934f" },
  frustration: { light: "#8c4a32", dark: "#c98266" },
};

/** For an answer that the model itself calls unsure, and for labels that serkit has no name for. */
const OTHER: Colours = { light: "#6d7483", dark: "#98a0b0" };

export function emotionColour(label: string, theme: Theme): string {
  return (COLOURS[label] ?? OTHER)[theme];
}
