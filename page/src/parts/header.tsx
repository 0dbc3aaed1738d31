import { theme, toggleTheme } from "../theme";
import { openAbout } from "./about-dialog";
import { Icon } from "./icons";

export function Header() {
  const dark = theme.value === "dark";
  return (
    <header>
      <h1>
        <img src="favicon.svg" alt="" width="28" height="28" />
        serkit
        <span>emotion in speech</span>
      </h1>
      <button type="button" class="quiet" onClick={() => openAbout()}>
        Use and limits
      </button>
      <button
        type="button"
        class="quiet square"
        aria-pressed={dark}
        aria-label="Dark theme"
        title="Dark theme"
        onClick={toggleTheme}
      >
        <Icon name={dark ? "sun" : "moon"} />
      </button>
    </header>
  );
}
