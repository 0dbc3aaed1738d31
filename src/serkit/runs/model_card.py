"""The model card of a bundle: purpose, training material, scores and limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from serkit import corpora
from serkit.emotions import merge
from serkit.evaluation.metrics import METRICS
from serkit.evaluation.scores import Scores, rows
from serkit.evaluation.task import TASKS
from serkit.recognition.bundle import Bundle, Calibration, Score, Unsure
from serkit.systems.schema import About, Data, System
from serkit.writing import markdown_table, multiply_adds

_USE = """\
## Intended use

To estimate which emotion a voice displays, for research, teaching, comparison of methods, and prototypes in which a
person checks the result and nothing depends on it.

**Not for decisions about people.** Not for hiring, work, school, credit, insurance, health, police, borders
or courts, and not for watching anyone without their knowledge and consent. In the European Union the
recognition of emotions at work and in education is prohibited with few exceptions (Regulation (EU)
2024/1689, article 5).

## Limits

- It recognizes emotion that is *displayed* in a voice. It does not reveal what a person feels."""

_PERSONAL = """\
## Personal data

The bundle holds no recording, no text and no name of a speaker. Of each training recording it keeps the first 16 digits
of a hash of the sound, so that nobody tests it on its training material by mistake; the sound cannot be recovered from
the hash. Recordings that it recognizes are neither stored nor sent anywhere."""


def card(
    bundle: Bundle,
    system: System,
    measured: Scores | None = None,
    model_bytes: int | None = None,
) -> str:
    """Write a model card.

    Args:
        bundle: the bundle.
        system: the system it was trained by.
        measured: scores of the run; None: no class recalls and no majority class in the card.
        model_bytes: size of `model.onnx` in bytes; None: not in the card.

    Returns:
        Markdown, ending in a line break.
    """
    return "\n\n".join(
        [
            _head(bundle, system.system),
            _USE + "\n" + "\n".join(f"- {limit}" for limit in _limits(bundle)),
            _numbers(bundle, system.data) if bundle.numbers else _labels(bundle, system.data),
            _material(bundle),
            f"## License of the weights\n\n{_plain(bundle.licence)}",
            _scores(bundle.scores, measured),
            *_recipe(system.system),
            *_unseen(bundle),
            *([] if bundle.numbers else [_calibration(bundle.calibration) + _unsure(bundle.unsure)]),
            *_everyday(bundle),
            _size(bundle, model_bytes),
            _how_to(bundle),
            _PERSONAL + "\n",
        ]
    )


def _head(bundle: Bundle, about: About) -> str:
    title = f" ({about.title})" if about.title else ""
    paper = f", after {about.paper}" if about.paper else ""
    text = (
        f"Recognizer of {_plain(_learned(bundle))} in speech: system `{about.name}`{_plain(title)}{paper}, "
        f"trained and exported with serkit {bundle.serkit} on {bundle.created}."
    )
    return f"# {_plain(bundle.name)}\n\n{text}"


def _learned(bundle: Bundle) -> str:
    return ", ".join(number.name for number in bundle.numbers) or bundle.target


def _limits(bundle: Bundle) -> list[str]:
    names = bundle.trained_on.corpora
    styles = {name: corpora.facts(name).style if corpora.READERS.knows(name) else None for name in names}
    by_style = {style: ", ".join(name for name in names if styles[name] == style) for style in styles.values()}
    limits = []
    if "acted" in by_style:
        limits.append(
            f"It was trained on actors ({by_style['acted']}), who display emotion more clearly than people do in "
            "everyday talk. Expect lower scores on spontaneous speech than those below."
        )
    if "read" in by_style:
        limits.append(f"It was trained on people who read aloud ({by_style['read']}), not on spontaneous speech.")
    if "generated" in by_style:
        limits.append(f"It was trained on generated sound ({by_style['generated']}), which is not human speech.")
    if None in by_style:
        limits.append(f"The metadata of {by_style[None]} do not describe how natural the speech is.")
    languages = ", ".join(bundle.languages) or "unknown"
    measured = "Other languages, accents, ages, microphones and noisy rooms have not been measured."
    if bundle.unseen:
        measured = "Expect of other corpora and languages what it is worth on corpora that it had not met (below)."
    limits.append(f"Language of the training material: {languages}. {measured}")
    limits.append("People and cultures show emotion differently, so mistakes differ too.")
    if any(entry.channel == "egg" for entry in bundle.inputs):
        limits.append("It requires an electroglottograph signal in addition to the speech.")
    return limits


def _labels(bundle: Bundle, data: Data) -> str:
    made = [
        f"- `{label}` was left out" if merge(label, data.map) is None else f"- `{label}` was counted as `{other}`"
        for label, other in data.map.items()
    ]
    if data.classes != "all":
        made.append(f"- only these labels were kept: {_codes(data.classes)}")
    made += [f"- only utterances with {name} = {_plain(value)}" for name, value in data.where.items()]
    how = "Changes to the corpora's labels:\n\n" + "\n".join(made) if made else "They are the labels of the corpora."
    return f"## Labels\n\n{_codes(bundle.labels)}. {how}"


def _numbers(bundle: Bundle, data: Data) -> str:
    rows = [[f"`{n.name}`", f"{n.low:.3g}", f"{n.high:.3g}"] for n in bundle.numbers]
    only = [f"Only utterances with {name} = {_plain(value)}." for name, value in data.where.items()]
    text = (
        "The units are those of the corpora's labels. A value outside their range is an extrapolation beyond "
        "the training material."
    )
    return "\n\n".join(["## Numbers", text, _table(["number", "lowest label", "highest label"], rows), *only])


def _material(bundle: Bundle) -> str:
    trained = bundle.trained_on
    rows = []
    for name in trained.corpora:
        facts = corpora.facts(name)
        rows.append([name, facts.title, facts.language or "", facts.licence, facts.citation])
    table = _table(["corpus", "title", "language", "license", "citation"], rows)
    count = len(trained.recordings)
    return f"## Training material\n\n{count} {'recording' if count == 1 else 'recordings'}.\n\n{table}"


def _scores(scores: Sequence[Score], measured: Scores | None) -> str:
    if not scores:
        return "## Scores\n\nThe model has not been measured."
    lines = []
    for score in scores:
        key, of, target = score.metric.partition(" of ")
        metric = METRICS[key]
        ends = "" if score.low is None else f"{metric.amount(score.low)} to {metric.amount(score.high)}"
        about = [score.corpus, score.protocol, f"{metric.name}{of}{target}", metric.amount(score.value), ends]
        lines.append([*about, "; ".join(score.flags) or "none"])
    parts = [
        "## Scores",
        "The scores were measured under the protocol, on utterances that the tested models were not trained on; the "
        "last column lists leaks. The model in this bundle was then trained in the same way on everything.",
        _table(["corpus", "protocol", "metric", "value", "95% interval", "flags"], lines),
    ]
    if measured:
        parts += _measured(measured)
    if measured and measured.precision:
        parts.append(f"Trained with precision {_codes(measured.precision)} of Lightning Fabric.")
    commands = dict.fromkeys(score.command for score in scores if score.command)
    if commands:
        parts.append("Made by:\n\n```\n" + "\n".join(commands) + "\n```")
    return "\n\n".join(parts)


def _measured(measured: Scores) -> Iterator[str]:
    """Yield the scores of a baseline and of a constant answer, the method of the intervals, and the recalls of
    classes."""
    task = TASKS[measured.task]
    names = {"all": "the folds' models", "baseline": "linear baseline `{}`", "constant": "always `{}`"}
    lines = [
        [row.target, names[row.kind].format(row.name)]
        + [metric.text(row.values[key].estimate) if key in row.values else "" for key, metric in task.metrics.items()]
        for row in rows(measured)
        if row.kind in names
    ]
    head = ["number", "scored", *(metric.heading for metric in task.metrics.values())]
    first = 0 if measured.targets else 1
    yield _table(head[first:], [line[first:] for line in lines])
    yield (
        f"Configurations tried: {measured.configurations}; chosen on: {measured.chosen_on}. "
        f"Intervals: {measured.metrics[task.metric().key].method}."
    )
    if measured.recalls:
        recalls = [[name, "" if value is None else f"{value:.1%}"] for name, value in measured.recalls.items()]
        yield _table(["class", "recall"], recalls)


def _unseen(bundle: Bundle) -> list[str]:
    """Return the section on corpora that the model had not met."""
    if not bundle.unseen:
        return []
    lines = [
        [
            *(row.kind, row.name, str(row.n)),
            *(
                "" if value is None else f"{value:.1%}"
                for value in (row.uar, row.sure, row.right, row.adapted, row.sure_adapted, row.right_adapted)
            ),
        ]
        for row in bundle.unseen
    ]
    rows = [row for row in bundle.unseen if row.kind == "corpus"]
    adapted = [row.adapted for row in rows if row.adapted is not None]
    mean = f"The mean UAR of the corpora is {sum(row.uar for row in rows) / len(rows):.1%}"
    if adapted:
        mean += f", and {sum(adapted) / len(adapted):.1%} with answers adapted to all recordings of each speaker"
    return [
        "## Corpora that it had not met",
        "Each corpus was left out once and recognized by a model trained on the others. Expect this of new recordings. "
        "Temperatures and thresholds are from the other corpora. The last three columns are of answers adapted to all "
        "recordings of each speaker.",
        _table(
            [
                "of",
                "name",
                "recordings",
                "UAR",
                "sure",
                "right of the sure",
                "adapted: UAR",
                "sure",
                "right of the sure",
            ],
            lines,
        ),
        mean + ".",
    ]


def _everyday(bundle: Bundle) -> list[str]:
    if bundle.everyday is None:
        return []
    of = bundle.everyday
    return [
        f"Of {of.n} recordings of speech without an emotion, {of.neutral:.1%} are called neutral; {of.wrong:.1%} of "
        "the answers are sure and name an emotion."
    ]


def _recipe(about: About) -> list[str]:
    chosen = about.chosen
    return [f"## How the recipe was found\n\n{_plain(chosen)}"] if chosen else []


def _calibration(calibration: Calibration | None) -> str:
    if calibration is None:
        return "## Calibration\n\nThe probabilities were not calibrated: do not interpret them as frequencies."
    short = calibration.by_duration
    shorter = (
        f" Half as much speech has {short.factor(short.frames / 2):.2f} times that temperature, because a short "
        "recording says less."
        if short
        else ""
    )
    return (
        f"## Calibration\n\nLogits are divided by {calibration.temperature:.3g} (temperature scaling, fitted "
        f"on: {_plain(calibration.fitted_on)}).{shorter} Probabilities are calibrated for speech like the training "
        "material only."
    )


def _unsure(unsure: Unsure | None) -> str:
    if unsure is None:
        return ""
    text = (
        f"\n\nAn answer whose probability is below {unsure.threshold:.3f} is marked as unsure: {_plain(unsure.rule)}."
    )
    if unsure.coverage is None or unsure.accuracy is None:
        return text
    others = unsure.accuracy_unsure
    rest = "" if others is None else f"; of the others, {others:.1%} would have been right"
    return (
        f"{text} Measured with thresholds from other speakers: {unsure.coverage:.1%} of the answers are sure, "
        f"and {unsure.accuracy:.1%} of those are right{rest}."
    )


def _size(bundle: Bundle, model_bytes: int | None) -> str:
    size, parity = bundle.size, bundle.parity
    seconds = bundle.windowing.seconds
    lines = [f"{size.parameters:,} parameters"]
    if size.macs is not None:
        lines.append(f"{multiply_adds(size.macs)} multiply-adds for one window")
    if model_bytes is not None:
        lines.append(f"`model.onnx`: {model_bytes / 1e6:.2f} MB")
    lines.append("a recording is read whole" if seconds is None else f"a recording is cut into {seconds:g} s")
    if parity:
        what = "a number, as a share of its range," if bundle.numbers else "a probability"
        lines.append(
            f"largest difference of {what} between the trained network and `model.onnx`: "
            f"{parity.max_difference:.1e}, over {parity.recordings} recordings"
        )
    return "## Size and exactness\n\n" + "\n".join(f"- {line}" for line in lines)


def _how_to(bundle: Bundle) -> str:
    name, answers = bundle.name, "values" if bundle.numbers else "probabilities"
    return (
        f"## How to use it\n\n```\nserkit predict --model {name} call.wav\n```\n\n"
        f'```python\nimport serkit\n\nrecognizer = serkit.load("{name}")  # or the path of its folder\n'
        f'print(recognizer("call.wav").{answers})\n```'
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(markdown_table(head, [[_plain(cell) for cell in row] for row in rows], head))


def _codes(labels: Sequence[str]) -> str:
    return ", ".join(f"`{label}`" for label in labels)


def _plain(text: object) -> str:
    """Escape text, so that Markdown does not read it as markup."""
    return str(text).replace("&", "&amp;").replace("<", "&lt;").replace("\n", " ")
