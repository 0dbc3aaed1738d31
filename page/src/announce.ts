import { signal } from "@preact/signals";

/** What the page's live region says: a screen reader speaks it when it changes. */
export const announcement = signal("");

export function announce(text: string): void {
  announcement.value = text;
}
