import type { Theme } from "../theme";

/** Colours of what is drawn; those of the page around it are in styles/colours.css. */
export const INK: Record<Theme, { wave: string; grid: string; text: string; gap: string }> = {
  light: { wave: "#4a5160", grid: "#dfe2e8", text: "#565d6c", gap: "#eceef2" },
  dark: { wave: "#a9b1c2", grid: "#2b303a", text: "#a0a8b8", gap: "#20242c" },
};

/** From silence to the loudest: the background's own colour first, so that the picture belongs to the page. */
const LEVELS: Record<Theme, [number, number, number][]> = {
  light: [
    [247, 248, 250],
    [183, 196, 224],
    [74, 98, 172],
    [30, 27, 75],
  ],
  dark: [
    [22, 25, 31],
    [44, 58, 112],
    [112, 134, 216],
    [240, 243, 255],
  ],
};

/** Colour of a level. @param level from 0 to 1 */
export function levelColour(level: number, theme: Theme): [number, number, number] {
  const stops = LEVELS[theme];
  const position = Math.max(0, Math.min(1, level)) * (stops.length - 1);
  const index = Math.min(stops.length - 2, Math.floor(position));
  const [from, to] = [stops[index]!, stops[index + 1]!];
  const mix = (channel: 0 | 1 | 2) => from[channel] + (to[channel] - from[channel]) * (position - index);
  return [mix(0), mix(1), mix(2)];
}
