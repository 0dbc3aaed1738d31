import base64
import hashlib
import io
import json
import re
import shutil

import numpy as np
import pytest
import soundfile
from PIL import Image

from serkit import audio
from serkit.errors import UserError
from serkit.evaluation import Predictions
from serkit.reports import failures_page, recordings
from serkit.reports.errors import collect, worst
from serkit.reports.failures import find
from serkit.reports.report import write
from serkit.runs import tested
from serkit.runs.folder import RunFolder

RATE = 16000


@pytest.fixture(scope="module")
def page(finished, tmp_path_factory):
    """The report of a run whose recordings are there, and its text."""
    folder = tmp_path_factory.mktemp("page") / "run"
    shutil.copytree(finished, folder)
    return folder, write(folder).read_text(encoding="utf-8")


def predictions(probabilities, truth, ids=None, seeds=None):
    count = len(truth)
    return Predictions(
        ids=tuple(ids or [f"x/{number}" for number in range(count)]),
        speakers=("x/s",) * count,
        truth=np.array(truth),
        probabilities=np.array(probabilities),
        classes=("a", "b"),
        folds=np.ones(count, dtype=int),
        seeds=np.array(seeds or [0] * count),
    )


def test_the_worst_are_the_most_confident_wrong_ones_each_utterance_once():
    some = predictions([[0.6, 0.4], [0.1, 0.9], [0.3, 0.7], [0.2, 0.8]], [1, 1, 0, 0])
    assert worst(some, 5) == [3, 2, 0] and worst(some, 2) == [3, 2]
    again = predictions([[0.3, 0.7], [0.2, 0.8]], [0, 0], ids=["x/1", "x/1"], seeds=[0, 1])
    assert worst(again, 5) == [1]


def test_errors_are_read_with_their_own_model(finished, synthetic):
    run = RunFolder.load(finished)
    errors = collect(run, run.places(), 3)
    assert len(errors) == 3
    models = {model.split.name: model for model in tested.Tested.folds(run)}
    by_id = {utterance.id: utterance for utterance in synthetic.utterances}
    for error in errors:
        utterance = by_id[error.utterance.id]
        assert error.truth == utterance.targets["emotion"] != error.predicted
        assert (
            error.predicted == next(iter(error.probabilities)) == max(error.probabilities, key=error.probabilities.get)
        )
        signal, rate = audio.read(utterance.path, channel=utterance.index)
        np.testing.assert_array_equal(error.signal, signal)
        assert error.rate == rate and error.utterance.id in models[error.fold].split.test
        found = models[error.fold].probabilities(signal, rate)
        assert sorted(found, reverse=True) == pytest.approx(list(error.probabilities.values()), abs=1e-4)
        assert len(error.attention) == int(np.ceil(len(signal) / rate))
    confidences = [max(error.probabilities.values()) for error in errors]
    assert confidences == sorted(confidences, reverse=True)


def test_without_trained_stages_there_is_no_attention(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "stages")
    run = RunFolder.load(tmp_path / "run")
    assert all(len(error.attention) == 0 for error in collect(run, run.places(), 2))


def test_the_page_has_slices_errors_and_what_they_need(page):
    folder, text = page
    wrong = RunFolder.load(folder).predictions
    count = min(24, int((wrong.predicted != wrong.truth).sum()))
    assert text.count("<article") == count > 3
    assert text.count("data:audio/mpeg;base64,") == text.count("data:image/png;base64,") == count
    assert text.count('class="attention"') == count
    assert "By sex" in text and "By duration (s)" in text and "This page holds recordings" in text
    # One language and no robustness: nothing is shown of them.
    assert "By language" not in text and "Not measured. Run <code>serkit robustness RUN</code>" in text
    found = json.loads((folder / "slices.json").read_text())
    assert [row["n"] for row in found["sex"]] == [16, 24] and found["language"][0]["value"] == "unknown"


def test_only_the_pages_own_script_may_run(page):
    _, text = page
    [script] = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hash = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    [policy] = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    assert f"script-src 'sha256-{hash}'" in policy and "default-src 'none'" in policy
    assert "http" not in policy and "unsafe-inline" not in policy.partition("script-src")[2]


def test_errors_can_be_fewer_and_silent(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    run = RunFolder.load(tmp_path / "run")
    text = write(tmp_path / "run", find(run, errors=2), sound=False).read_text(encoding="utf-8")
    assert text.count("<article") == 2 and "data:audio" not in text and "This page holds recordings" not in text
    text = write(tmp_path / "run", find(run, errors=0)).read_text(encoding="utf-8")
    assert "<article" not in text and "None asked for." in text and "<script" not in text


def test_sound_is_left_out_where_a_page_would_grow_too_large(finished, monkeypatch):
    run = RunFolder.load(finished)
    failures = find(run, errors=4)
    monkeypatch.setattr(failures_page, "MOST_SOUND", 1)
    heard = [error["sound"] is not None for error in failures_page.content(run, failures, True)["errors"]]
    assert heard == [True, False, False, False]


def test_recordings_that_are_gone_are_said_to_be(finished, tmp_path, synthetic):
    shutil.copytree(finished, tmp_path / "run")
    description = json.loads((tmp_path / "run" / "run.json").read_text())
    description["folders"]["synthetic"] = str(tmp_path / "moved")
    (tmp_path / "run" / "run.json").write_text(json.dumps(description))
    run = RunFolder.load(tmp_path / "run")
    assert str(tmp_path / "moved") in find(run).missing
    text = write(tmp_path / "run").read_text(encoding="utf-8")
    assert "which are\nmissing" in text and "<article" not in text and "<script" not in text
    assert find(run, [f"synthetic={synthetic.folder}"]).slices
    with pytest.raises(UserError, match=re.escape(f"{tmp_path / 'moved'}")):
        find(run, [f"synthetic={tmp_path / 'moved'}"])
    with pytest.raises(UserError, match="learned from synthetic only"):
        find(run, ["emodb=x"])


def test_a_corpus_that_has_changed_is_refused(finished, tmp_path, synthetic):
    shutil.copytree(synthetic.folder, tmp_path / "changed")
    first = sorted((tmp_path / "changed").glob("*.wav"))[0]
    soundfile.write(first, 0.5 * soundfile.read(first)[0], RATE)
    with pytest.raises(UserError, match="differs from corpus 'synthetic' of run 'run'"):
        find(RunFolder.load(finished), [f"synthetic={tmp_path / 'changed'}"])


# --- recordings in a page


def tone(seconds):
    return (0.3 * np.sin(2 * np.pi * 1000 * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_sound_is_mp3_of_the_beginning():
    address = recordings.sound(tone(20.0), RATE)
    assert address.startswith("data:audio/mpeg;base64,")
    found, rate = soundfile.read(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert len(found) / rate == pytest.approx(recordings.LONGEST, abs=0.1)
    spectrum = np.abs(np.fft.rfft(found[:RATE]))
    assert np.argmax(spectrum) == 1000
    assert len(address) < 8500 * recordings.LONGEST


def test_the_picture_shows_low_bands_at_the_bottom():
    address = recordings.picture(tone(1.0), RATE)
    image = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert image.size == (101, 64)
    levels = np.asarray(image)
    # 1000 mel of 2840: a third of the height from below.
    assert np.argmax(levels[:, 50]) == pytest.approx(64 * (1 - 1000 / 2840), abs=1.5)
    assert levels.max() == 255 and levels[0, 50] < 30


def test_attention_is_drawn_in_steps_within_what_is_shown():
    edges, shares = np.array([0.5, 1.0, 1.5, 2.0]), np.array([1.0, 2.0, 4.0])
    path = recordings.attention_path([(edges, shares)], seconds=1.5, highest=2.0)
    assert path == "M333.3 100V50.0H666.7V0.0H1000.0V100Z"
    assert recordings.attention_path([(edges + 2, shares)], seconds=1.5, highest=2.0) == ""
    assert recordings.attention_path([], 1.0, 1.0) == ""
