/** Rounds halves to even, as Python does. */
export function round(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  if (rest !== 0.5) return Math.round(value);
  return below % 2 === 0 ? below : below + 1;
}

/** Rounds to decimal places. */
export function digits(value: number, places: number): number {
  return Number(value.toFixed(places));
}
