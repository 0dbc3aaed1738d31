"""The first tutorial in Python: from a table of recordings to a recogniser that needs no torch.

    python examples/own_data.py [FOLDER]

Made-up speech stands for your recordings; a table of your own takes its place by changing one line.
"""

import csv
import sys
import tempfile
from pathlib import Path

import serkit
from serkit import corpora
from serkit.corpora import synthetic
from serkit.reports.report import write
from serkit.runs.export import export
from serkit.runs.runner import Request, run


def make_table(folder: Path) -> Path:
    """Write a few recordings and the table that lists them, as you would for yours."""
    made = synthetic.generate(folder / "recordings", speakers=6, sentences=2)
    table = folder / "calls.csv"
    with open(table, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "emotion", "speaker", "channel"])
        for utterance in made.utterances:
            writer.writerow([utterance.path, utterance.targets["emotion"], utterance.speaker, 0])
    return table


def main(folder: Path) -> None:
    mine = corpora.load("table", make_table(folder))

    scores = run(Request("linear-baseline", [mine], protocol="clean"), folder / "run", resume=True, report=print)
    uar = scores.metrics["uar"]
    flags = "; ".join(flag.text for flag in scores.flags) or "none"
    print(f"UAR {uar.estimate:.1%} ({uar.low:.1%} to {uar.high:.1%}), flags: {flags}")
    print(f"report: {write(folder / 'run')}")

    bundle = export(folder / "run", folder / "my-recogniser", recordings=10)
    recognizer = serkit.Recognizer(bundle)
    prediction = recognizer(mine.utterances[0].path, channel=0)
    print(f"{prediction.file}: {prediction.label} ({prediction.confidence:.0%})")


# Folds are trained in processes of their own, which read this file again: hence the guard.
if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as place:
            main(Path(place))
