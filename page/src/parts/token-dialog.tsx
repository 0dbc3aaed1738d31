import { signal } from "@preact/signals";
import { Dialog } from "./dialog";

interface Question {
  refused: boolean;
  answer: (token: string | null) => void;
}

const question = signal<Question | null>(null);

/** Asks for the server's token. @param refused whether the one given before was wrong */
export function askForToken(refused: boolean): Promise<string | null> {
  return new Promise((resolve) => {
    question.value = {
      refused,
      answer: (token) => {
        question.value = null;
        resolve(token);
      },
    };
  });
}

export function TokenDialog() {
  const asked = question.value;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const token = new FormData(event.currentTarget as HTMLFormElement).get("token");
    asked?.answer(String(token).trim());
  };
  return (
    <Dialog title="Token" open={asked !== null} onClose={() => asked?.answer(null)}>
      <form class="token" onSubmit={submit}>
        <p>This server answers only those who have its token. Whoever runs it can give it to you.</p>
        <label for="token">Token</label>
        <input
          id="token"
          name="token"
          type="password"
          required
          autoComplete="off"
          aria-invalid={asked?.refused}
          aria-describedby="token-note"
        />
        <p id="token-note" class={asked?.refused ? "wrong" : "note"}>
          {asked?.refused ? "The server refused this token." : "Kept until you close this tab."}
        </p>
        <button type="submit" class="primary">
          Go on
        </button>
      </form>
    </Dialog>
  );
}
