import { Icon } from "./icons";

/** Something takes a moment. */
export function Busy({ text }: { text: string }) {
  return (
    <p class="busy">
      <span class="spinner" aria-hidden="true" />
      {text} …
    </p>
  );
}

/** Something did not work. */
export function Problem({ text, onRetry }: { text: string; onRetry?: () => void }) {
  return (
    <div class="problem" role="alert">
      <Icon name="warning" />
      <p>{text}</p>
      {onRetry && (
        <button type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  );
}
