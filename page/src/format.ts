/** `0.834` as `83 %`. */
export function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

/** `214567` as `214,567`. */
export function thousands(count: number): string {
  return count.toLocaleString("en");
}
