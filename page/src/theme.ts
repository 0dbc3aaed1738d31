import { computed, effect, signal } from "@preact/signals";

export type Theme = "light" | "dark";

const STORED = "serkit.theme";
const system = matchMedia("(prefers-color-scheme: dark)");

const preferred = signal<Theme>(system.matches ? "dark" : "light");
system.addEventListener("change", ({ matches }) => (preferred.value = matches ? "dark" : "light"));

/** What the user chose on this page; without a choice the system's theme holds. */
const chosen = signal<Theme | null>(localStorage.getItem(STORED) as Theme | null);

export const theme = computed<Theme>(() => chosen.value ?? preferred.value);

/** Choosing what the system has gives the choice back to the system. */
export function toggleTheme(): void {
  const next = theme.peek() === "dark" ? "light" : "dark";
  chosen.value = next === preferred.peek() ? null : next;
  if (chosen.value) localStorage.setItem(STORED, chosen.value);
  else localStorage.removeItem(STORED);
}

/** Keeps the document's theme up to date. */
export function applyTheme(): void {
  effect(() => {
    document.documentElement.dataset.theme = theme.value;
  });
}

/** Whether the user asked their system for less movement. */
export const stillness = matchMedia("(prefers-reduced-motion: reduce)");
