"""Write the section "Measured commands" of docs/systems: each command of docs/results with its time and its score.

python benchmarks/measured_commands.py
"""

import json
import re
import shlex
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"

#: Page of docs/systems -> systems that it describes, as regular expression.
PAGES = {
    "chen2022": "egg-|resnet18-|crnn-",
    "cnn-and-functionals": "cnn-and-functionals$",
    "compact-cnn": "compact-cnn",
    "guizzo2023": "quaternion-|squirtle",
    "kim2024": "vit-",
    "skoulidis2023": "spectral-cnn",
    "speech-discriminant": ".*-?discriminant",
    "speech-functionals": "speech-functionals$",
    "zhong2020": "independent-|fused-|fcn-",
}
HEADING = "## Measured commands"
INTRODUCTION = """\
CORPORA is the folder with the recordings. Times are seconds of training, summed over the folds and stages, as the run
counted them; the machine is in [results](../results.md). `python benchmarks/measured_commands.py` writes this section.
"""


def measured(systems: str) -> list[str]:
    """What each run of some systems took and gave, with its command."""
    found = []
    for path in sorted((DOCS / "results").glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or not (content.get("cost") or {}).get("seconds"):
            continue
        command = content["run"]["command"]
        if not re.match(systems, command.split()[2]):
            continue
        scores = content["scores"]
        shown = "CCC {:.3f} [{:.3f}, {:.3f}]" if "uar" not in scores else "UAR {:.1%} [{:.1%}, {:.1%}]"
        score = scores.get("uar") or scores["ccc"]
        score = shown.format(score["estimate"], score["low"], score["high"])
        told = f"[{path.stem}](../results/{path.name}): {content['cost']['seconds']:.0f} s, {score}"
        text = wrapped(command)
        found.append(f"{told}\n\n```console\n$ {text}\n```\n")
    return found


def wrapped(command: str) -> str:
    """Return a command over lines of at most 116 columns, none cut inside a quoted argument."""
    lines = [""]
    for word in map(shlex.quote, shlex.split(command)):
        if len(lines[-1]) + len(word) > 110:
            lines.append("")
        lines[-1] += f" {word}" if lines[-1] else word
    return " \\\n      ".join(lines)


def main() -> None:
    for name, systems in PAGES.items():
        page = DOCS / "systems" / f"{name}.md"
        text = page.read_text(encoding="utf-8").partition(f"\n{HEADING}\n")[0].rstrip("\n")
        if parts := measured(systems):
            text += "\n\n" + "\n".join([HEADING, "", INTRODUCTION, *parts]).rstrip("\n")
        page.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
