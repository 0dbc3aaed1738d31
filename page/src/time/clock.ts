/** A time for the eye: `0:07.4`, `1:02:03.0`. @param seconds >= 0 */
export function clock(seconds: number, digits: number = 1): string {
  const scale = 10 ** digits;
  const rounded = Math.round(seconds * scale) / scale;
  const hours = Math.floor(rounded / 3600);
  const minutes = Math.floor((rounded % 3600) / 60);
  const rest = (rounded % 60).toFixed(digits).padStart(digits ? digits + 3 : 2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

/** A time for the ear: `1 minute 2.5 seconds`. */
export function spoken(seconds: number): string {
  const rounded = Math.round(seconds * 10) / 10;
  const parts = [
    [Math.floor(rounded / 3600), "hour"],
    [Math.floor((rounded % 3600) / 60), "minute"],
  ] as const;
  const said = parts.filter(([count]) => count).map(([count, unit]) => `${count} ${unit}${count === 1 ? "" : "s"}`);
  const rest = Number((rounded % 60).toFixed(1));
  if (rest || !said.length) said.push(`${rest} second${rest === 1 ? "" : "s"}`);
  return said.join(" ");
}
