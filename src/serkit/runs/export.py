"""Export of a run to a bundle: one complete ONNX file, checked against torch on real recordings."""

from __future__ import annotations

import copy
import logging
import tempfile
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from scipy import special
from torch import Tensor, nn

from serkit import audio, corpora, features
from serkit.corpora.corpus import Utterance
from serkit.errors import UserError
from serkit.evaluation.evaluate import hear
from serkit.evaluation.intervals import Interval
from serkit.evaluation.predictions import read_table
from serkit.evaluation.scores import Scores, Table
from serkit.evaluation.unsure import WANTED, held_out
from serkit.features.onnx import Onnx
from serkit.flags import worst_first
from serkit.networks.layers.quaternion import folded
from serkit.networks.network import Batch, Model, Output, Shape
from serkit.recognition import familiarity
from serkit.recognition.bundle import (
    WEIGHTS,
    Adaptation,
    Bundle,
    ByDuration,
    Calibration,
    Everyday,
    Familiar,
    FeatureConfig,
    Input,
    Number,
    Parity,
    Score,
    Size,
    TrainedOn,
    Unsure,
)
from serkit.recognition.prediction import Prediction
from serkit.recognition.recognizer import Recognizer
from serkit.recognition.timeline_options import TimelineOptions
from serkit.records import Record
from serkit.runs import sealed
from serkit.runs.command import command
from serkit.runs.durations import Calibrated, calibrated
from serkit.runs.files import Description, Final
from serkit.runs.folder import RunFolder
from serkit.runs.model_card import card
from serkit.runs.models import leaves, rebuild
from serkit.runs.models import means as model_means
from serkit.runs.recurrent import Recurrent
from serkit.runs.strangers import unseen
from serkit.systems.schema import Adapt
from serkit.windowing import Windowing

R = TypeVar("R", bound=Record)

#: Maximum difference between a bundle and torch, of a probability, or of a number as a share of its range.
TOLERANCE = 1e-4

#: Rules for the threshold of unsure answers (`serkit.evaluation.unsure`), for held-out speakers and held-out corpora.
UNSURE_RULE = "below it answers on held-out speakers are wrong more often than right"
UNSEEN_RULE = f"above it {WANTED:.0%} of the answers on corpora that the model had not met are right"

#: Largest share of answers to speech without an emotion that are sure and not neutral, and how certain that is to be.
#: Among the recordings that set the threshold the share is lower: on others it is as often above as below that.
EVERYDAY = 0.05
CONFIDENCE = 0.95

#: Label of speech without an emotion.
NEUTRAL = "neutral"

#: Maximum number of recordings that define what is familiar.
FAMILIAR = 2000

#: Length of time axes, in frames, when a network is traced and its multiply-adds are counted.
FRAMES = 300


class Shipped(nn.Module):
    """A model in its shipped form, from feature arrays to answers.

    Args:
        model: the trained model.
        views: names of its inputs, in order.
    """

    #: Name of the output of the exported network.
    answers: str

    def __init__(self, model: Model, views: Sequence[str]) -> None:
        super().__init__()
        self.model, self.views = model, list(views)

    def run(self, arrays: Sequence[Tensor]) -> Output:
        output: Output = self.model(Batch(dict(zip(self.views, arrays, strict=True))))
        return output


class Deployed(Shipped):
    """A model of classes, from feature arrays to calibrated probabilities.

    Args:
        model: the trained model.
        views: names of its inputs, in order.
        target: target whose probabilities are returned.
        temperature: divisor of the logits (Guo et al. 2017).
        by_duration: how the temperature depends on the number of frames of a view; None: it does not.
    """

    answers = "probabilities"

    def __init__(
        self,
        model: Model,
        views: Sequence[str],
        target: str,
        temperature: float,
        by_duration: ByDuration | None = None,
    ) -> None:
        super().__init__(model, views)
        self.target, self.temperature, self.by_duration = target, temperature, by_duration

    def forward(self, *arrays: Tensor) -> Tensor:
        logits = self.run(arrays).predictions[self.target] / self.temperature
        if self.by_duration:
            view = arrays[self.views.index(self.by_duration.input)]
            # The number of frames as a tensor, which the exported graph computes for any duration.
            frames = torch.ones_like(view.flatten(0, -2)[0]).sum()
            logits = logits * (frames / self.by_duration.frames) ** self.by_duration.exponent
        return torch.softmax(logits, dim=1)


class DeployedNumbers(Shipped):
    """A model of numbers, from feature arrays to numbers in the units of the labels.

    Args:
        model: the trained model.
        views: names of its inputs, in order.
        targets: targets whose numbers are returned, in this order.
    """

    answers = "values"

    def __init__(self, model: Model, views: Sequence[str], targets: Sequence[str]) -> None:
        super().__init__(model, views)
        self.targets = list(targets)

    def forward(self, *arrays: Tensor) -> Tensor:
        predictions = self.run(arrays).predictions
        return torch.cat([predictions[target] for target in self.targets], dim=1)


def export(
    run: Path,
    out: Path,
    licence: str | None = None,
    recordings: int = 50,
    weights: bool = True,
    encoder: bool = True,
    everyday: Sequence[Path] = (),
) -> Bundle:
    """Write the bundle of a finished run's final model.

    Args:
        run: the run's folder.
        out: the bundle's folder; its name is the bundle's name.
        licence: license of the weights; None: composed of the corpora's licenses.
        recordings: number of the run's recordings on which torch and ONNX are compared.
        weights: whether the bundle holds the weights, so that training can continue from it; ignored for a stage that
            reads the output of frozen stages.
        encoder: whether the bundle holds the ONNX file of its feature `onnx`; otherwise it names only the hash.
        everyday: recordings of speech without an emotion. The threshold of unsure answers rises until at most
            `EVERYDAY` of the answers to such speech are sure and not neutral (see `allowed`).

    Raises:
        UserError: the run is unfinished or has no final model, `out` exists, or the exported network and torch differ.
    """
    if out.exists():
        raise UserError(f"{out}: already exists; remove it or choose another folder")
    described = _read(run, "run.json", Description)
    final, scores = _read(run, "final.json", Final), _read(run, "scores.json", Scores)
    system = described.system[final.row].resolved()
    finished = rebuild(run / final.stage, system)
    data = system.stage_data(finished.stage)
    target = data.target[0]
    names = leaves(system, finished.stage)
    inputs, shapes, encoders = [], [], []
    for name in names:
        view = system.views[name]
        if view.feature is None:
            raise UserError(f"view '{name}' has no feature")
        feature = features.build(view.feature.name, **view.feature.options)
        if feature.name == "transformers":
            raise UserError(
                f"view '{name}' needs torch, so no bundle can hold it; export its encoder with "
                "examples/export_encoder.py and train with the feature onnx, or ship a student (ssl-distilled)"
            )
        inputs.append(Input(name=name, feature=FeatureConfig(**features.config(feature)), channel=view.channel))
        shapes.append(feature.shape)
        if isinstance(feature, Onnx):
            encoders.append(feature)
    numbers = [Number(name=name, low=low, high=high) for name, (low, high) in final.ranges.items()]
    calibration = unsure = adaptation = None
    if numbers:
        deployed: Shipped = DeployedNumbers(finished.model, names, [number.name for number in numbers]).eval()
    else:
        if final.temperature is None:
            raise UserError(f"{run / 'final.json'}: key 'temperature' is missing")
        answers = calibrated(RunFolder.load(run), final)
        deployed = Deployed(finished.model, names, target, answers.temperature, answers.by_duration).eval()
        calibration = Calibration(
            temperature=answers.temperature,
            fitted_on="test parts of the run's folds",
            by_duration=answers.by_duration,
        )
        unsure = _unsure(answers, scores, described.protocol.definition().group == "corpus")
        adaptation = _adaptation(final, answers.temperature, finished.model, names, system.adapt)
    model = to_onnx(deployed, names, shapes)

    learned_from = sorted(described.places)
    corpora_facts = [corpora.facts(name) for name in learned_from]
    bundle = Bundle(
        name=out.name,
        serkit=version("serkit"),
        created=datetime.now(UTC).date().isoformat(),
        system=system.system.name,
        numbers=numbers,
        labels=list(finished.classes[target]),
        target=target,
        inputs=inputs,
        windowing=data.items.windowing,
        calibration=calibration,
        unsure=unsure,
        adaptation=adaptation,
        trained_on=TrainedOn(corpora=learned_from, recordings=[digest[:16] for digest in final.recordings]),
        scores=_scores(scores, described),
        licence=licence or licence_of(corpora_facts),
        languages=sorted({facts.language for facts in corpora_facts if facts.language}),
        size=Size(
            parameters=sum(parameter.numel() for parameter in finished.model.parameters()),
            macs=count_macs(deployed, shapes),
        ),
        network=finished.stage.network.model_dump() if finished.stage.network else None,
        requires={
            entry.feature.name: " ".join(owner)
            for entry in inputs
            if (owner := features.FEATURES.distribution(entry.feature.name))
        },
    )
    with tempfile.TemporaryDirectory() as trial:
        recognizer = Recognizer(bundle.save(Path(trial) / out.name, model, card="", encoders=encoders))
        parity = _parity(recognizer, deployed, data.items.windowing, _sample(run, described, recordings))
        # Numbers are never unsure.
        known = None if numbers else familiar(recognizer, _sample(run, described, FAMILIAR))
        bundle = bundle.model_copy(update={"parity": parity, "familiar": known})
        if everyday:
            bundle = _with_everyday(bundle, recognizer, everyday)
    if not numbers:
        bundle = _with_unseen(bundle, RunFolder.load(run), answers)
    # The weights of a stage that reads frozen stages are its own layers only; training cannot continue from them.
    frozen = any(system.views[view].stage and not system.views[view].trainable for view in finished.stage.inputs)
    tensors = (finished.folder / WEIGHTS).read_bytes() if weights and not frozen else None
    page = card(bundle, system, scores, len(model))
    return bundle.save(out, model, page, tensors, encoders if encoder else ())


def to_onnx(deployed: Shipped, names: Sequence[str], shapes: Sequence[Shape]) -> bytes:
    """Convert to ONNX with dynamic batch and time axes, with the weights inside and without local paths."""
    batch = torch.export.Dim("batch")
    # Each view has its own time axis, because views with different hops have different numbers of frames.
    dynamic = tuple(
        {
            0: batch,
            # Numbered, because a view's name may not be valid in torch.
            **{axis + 1: torch.export.Dim(f"time_{view}") for axis, length in enumerate(shape) if length is None},
        }
        for view, shape in enumerate(shapes)
    )
    # It reports each operator of libraries that are not installed.
    logging.getLogger("torch.onnx._internal.exporter").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            folded(deployed),
            _example(shapes, items=2),
            input_names=list(names),
            output_names=[deployed.answers],
            dynamic_shapes=(dynamic,),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    proto = program.model_proto
    for node in proto.graph.node:
        del node.metadata_props[:]
    for function in proto.functions:
        for node in function.node:
            del node.metadata_props[:]
    result: bytes = proto.SerializeToString()
    return result


def count_macs(deployed: Shipped, shapes: Sequence[Shape]) -> int:
    """Count the multiply-adds of one item; time axes have `FRAMES` frames.

    The count includes convolutions and matrix products (also in attention), each multiply-add once, but no elementwise
    operations. It is half the count of torch's own counter, which counts two operations for each multiply-add.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    # On "meta", tensors have shapes but no values, so nothing is computed. The counter fails on a weight that is passed
    # between layers and requires a gradient.
    shadow = copy.deepcopy(deployed).to("meta").requires_grad_(False)
    arrays = [array.to("meta") for array in _example(shapes, items=1)]
    # The counter does not know every fused attention, but it counts attention as two products.
    with counter, sdpa_kernel(SDPBackend.MATH), torch.inference_mode(), Recurrent(_products):
        # Not `shadow` itself, so that a stage without a classifier is counted too.
        shadow.run(arrays)
    return counter.get_total_flops() // 2


def _products(kind: str, x: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Compute the products of one direction of a recurrent layer, over all frames at once instead of one by one."""
    for weight in weights:
        if weight.ndim == 2:  # not a bias
            torch.matmul(x.new_empty(*x.shape[:-1], weight.shape[1]), weight.T)
    return x.new_empty(*x.shape[:-1], weights[1].shape[1])


def licence_of(facts: Sequence[corpora.Facts]) -> str:
    """Compose the license of weights from those of the recordings they were trained on."""
    terms = "; ".join(f"{entry.name}: {entry.licence}" for entry in facts)
    return f"weights under the terms of the recordings they were trained on ({terms})"


def _example(shapes: Sequence[Shape], items: int) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(items, *[length or FRAMES for length in shape], generator=generator) for shape in shapes)


def _read(run: Path, name: str, kind: type[R]) -> R:
    path = run / name
    if not path.exists():
        raise UserError(f"{run}: holds no finished run with a final model ({name} is missing)")
    return sealed.read(path, kind)


def _sample(run: Path, described: Description, count: int) -> list[Utterance]:
    """Select some of the scored recordings of a run, spread evenly over each corpus."""
    found: list[Utterance] = []
    left_out = set(described.skipped or ())
    scored = {row[0] for _, row in read_table(run / "predictions.csv")[1]}
    for name, folder in described.folders.items():
        everyone = corpora.load(name, folder, described.reading(name)).utterances
        readable = [u for u in everyone if not {u.id, str(u.path)} & left_out]
        # A protocol that splits items scores pieces and copies, whose names differ from those of the utterances.
        utterances = [utterance for utterance in readable if utterance.id in scored] or readable
        share = max(1, count // len(described.folders))
        found += utterances[:: max(1, len(utterances) // share)][:share]
    return found


def _parity(recognizer: Recognizer, deployed: Shipped, windowing: Windowing, utterances: Sequence[Utterance]) -> Parity:
    """Compare the answers of the recognizer with those of torch, from sound to probability or number."""
    bundle = recognizer.bundle
    # A probability is compared as it is, a number as a share of the range of its labels.
    unit = np.array([number.high - number.low for number in bundle.numbers] or [1.0])
    makers = bundle.features()
    worst, compared = 0.0, 0
    for utterance in utterances:
        signal, rate = hear(bundle, utterance)
        answer = recognizer.predict_signal(signal, rate)
        found = np.array([(answer.values or answer.probabilities)[name] for name in bundle.outputs])
        total = np.zeros(len(found))
        windows = windowing.windows(len(signal) / rate)
        for start, end in windows:
            arrays = []
            for entry, feature in zip(bundle.inputs, makers.values(), strict=True):
                heard = signal if signal.ndim == 1 else np.ascontiguousarray(signal[:, 1 if entry.channel else 0])
                samples = audio.resample(heard, rate, feature.rate)
                piece = samples[round(start * feature.rate) : round(end * feature.rate)]
                arrays.append(torch.from_numpy(feature(windowing.fit(piece, feature.rate)))[None])
            with torch.inference_mode():
                total += deployed(*arrays)[0].double().numpy()
        worst = max(worst, float((np.abs(total / len(windows) - found) / unit).max()))
        compared += 1
    if worst > TOLERANCE:
        raise UserError(
            f"the exported network differs from torch by {worst:.2g} on {compared} recordings (limit: {TOLERANCE:g})"
        )
    return Parity(recordings=compared, max_difference=worst)


def _with_everyday(bundle: Bundle, recognizer: Recognizer, recordings: Sequence[Path]) -> Bundle:
    """Raise the threshold of unsure answers, so that few answers to speech without an emotion are sure and wrong."""
    if bundle.unsure is None or NEUTRAL not in bundle.labels:
        raise UserError(
            f"recordings without an emotion require the label '{NEUTRAL}' and a threshold of unsure answers"
        )
    answers = [answer for answer in recognizer.predict_files(recordings) if isinstance(answer, Prediction)]
    if not answers:
        raise UserError(f"none of {len(recordings)} recordings without an emotion can be used")
    neutral = np.array([answer.label == NEUTRAL for answer in answers])
    confidence = np.array([max(answer.probabilities.values()) for answer in answers])
    others = np.sort(confidence[~neutral])[::-1]
    most = allowed(len(answers))
    # Just above the most confident answer too many.
    least = float(np.nextafter(others[most], 2)) if len(others) > most else 0.0
    limit = max(bundle.unsure.threshold, min(least, 1.0 + 1e-6))
    rule = bundle.unsure.rule
    if limit > bundle.unsure.threshold:
        rule = (
            f"above it, with {CONFIDENCE:.0%} confidence, at most {EVERYDAY:.0%} of the answers to speech without an "
            "emotion name one"
        )
    return bundle.model_copy(
        update={
            "unsure": bundle.unsure.model_copy(update={"threshold": limit, "rule": rule}),
            "everyday": Everyday(
                n=len(answers),
                neutral=float(neutral.mean()),
                wrong=float((~neutral & (confidence >= limit)).mean()),
            ),
        }
    )


def allowed(answers: int) -> int:
    """Return how many answers to speech without an emotion may be sure and name one.

    It is the largest number whose one-sided confidence limit stays at or below `EVERYDAY`, and 0 if there are too few
    recordings to show that.

    Source: Clopper & Pearson, The use of confidence or fiducial limits illustrated in the case of the binomial, 1934.
    """
    counts = np.arange(answers)
    limits = special.betaincinv(counts + 1, answers - counts, CONFIDENCE)
    return max(0, int(np.count_nonzero(limits <= EVERYDAY)) - 1)


def _with_unseen(bundle: Bundle, run: RunFolder, answers: Calibrated) -> Bundle:
    """Add the scores on corpora that the model had not met, if the run left corpora out."""
    found = unseen(
        run, answers, bundle.adaptation, bundle.unsure.threshold if bundle.everyday and bundle.unsure else 0.0
    )
    if not found or bundle.unsure is None:
        return bundle.model_copy(update={"unseen": found})
    # The share of all answers, with the threshold that speech without an emotion has raised.
    sure = bundle.unsure.model_copy(
        update={"coverage": found[0].sure, "accuracy": found[0].right, "accuracy_unsure": None}
    )
    return bundle.model_copy(update={"unseen": found, "unsure": sure})


def familiar(recognizer: Recognizer, utterances: Sequence[Utterance]) -> Familiar | None:
    """Return the statistics of training recordings by which a recognizer notices sound unlike them.

    Args:
        recognizer: recognizer of the bundle.
        utterances: recordings that it has learned from; silent ones do not count.
    """
    window = TimelineOptions().window_for(recognizer.bundle)
    whole, short, kept = [], [], []
    for utterance in utterances:
        signal, rate = hear(recognizer.bundle, utterance)
        if np.abs(signal).max() < audio.SILENCE_PEAK:
            continue
        middle = max(0, (len(signal) - round(window * rate)) // 2)
        whole.append(recognizer.mean_features(signal, rate))
        short.append(recognizer.mean_features(signal[middle : middle + round(window * rate)], rate))
        kept.append(utterance)
    if not kept:
        return None
    long, cut = ({name: np.stack([one[name] for one in part]) for name in part[0]} for part in (whole, short))
    return familiarity.fit(long, cut, [one.corpus for one in kept], [one.speaker for one in kept])


def _unsure(answers: Calibrated, scores: Scores, by_corpus: bool) -> Unsure | None:
    """Return the threshold of unsure answers from a run; None for a run older than thresholds."""
    if answers.threshold is None:
        return None
    measured = held_out(*answers.of_folds()) if answers.by_duration else scores.unsure
    return Unsure(
        threshold=answers.threshold,
        rule=UNSEEN_RULE if by_corpus else UNSURE_RULE,
        coverage=measured and measured.coverage,
        accuracy=measured and measured.accuracy.sure,
        accuracy_unsure=measured and measured.accuracy.unsure,
    )


def _adaptation(
    final: Final, temperature: float, model: Model, views: Sequence[str], adapt: Adapt
) -> Adaptation | None:
    """Return the statistics for adaptation to a voice; None if no view is normalized by row, or spreads are unknown."""
    means = {name: mean for name, mean in model_means(model).items() if name in (adapt.views or views)}
    if not means or not final.spreads:
        return None
    narrow, wide = final.spreads
    return Adaptation(means=means, narrow=narrow, wide=wide, strength=adapt.strength, temperature=temperature)


def _scores(scores: Scores, described: Description) -> list[Score]:
    """Return accuracy and UAR, or the CCC of each number, from a run's scores, for all corpora and for each of
    several."""
    flags = [flag.text for flag in worst_first(scores.flags)]
    tables: dict[str, Table] = {"+".join(sorted(described.folders)): scores, **scores.corpora}

    def found(table: Table) -> dict[str, Interval]:
        if table.targets:
            return {f"ccc of {name}": part.metrics["ccc"] for name, part in table.targets.items()}
        return {metric: table.metrics[metric] for metric in ("uar", "accuracy")}

    return [
        Score(
            corpus=name,
            protocol=scores.protocol,
            metric=metric,
            value=value.estimate,
            low=value.low,
            high=value.high,
            # Without local folders.
            command=command(described, folders={}).text,
            flags=flags,
        )
        for name, table in tables.items()
        for metric, value in found(table).items()
    ]
