import csv
import json

import numpy as np
import pytest
from PIL import Image

from serkit.errors import UserError
from serkit.flags import Flag
from serkit.reports.report import write as write_report
from serkit.reports.robustness import chart, of_bundle, of_run, write
from serkit.runs.folder import RunFolder


@pytest.fixture(scope="module")
def measured(finished):
    return of_run(finished, [], ["telephone", "gain"])


def test_a_run_is_measured_by_its_folds_own_models(finished, measured):
    run = RunFolder.load(finished)
    # Through samples and model, not through the store: the same scores as the run's.
    document = measured.to_dict()
    assert document["clean"]["uar"]["estimate"] == run.scores.metrics["uar"].estimate
    assert document["clean"]["ece"] == pytest.approx(run.scores.ece, abs=1e-4)
    assert document["n"] == 40 and document["system"] == "small" and document["protocol"] == "clean"
    assert document["content"] == run.scores.content
    assert list(document["curves"]) == ["telephone", "gain"]
    # The front end leaves out the level.
    gain = {point["strength"]: point for point in document["curves"]["gain"]["points"]}
    assert gain[-10]["uar"]["estimate"] == pytest.approx(document["clean"]["uar"]["estimate"], abs=0.051)


def test_json_table_and_picture_say_the_same(measured, tmp_path):
    write(measured, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "robustness.csv",
        "robustness.json",
        "robustness.png",
    ]
    assert json.loads((tmp_path / "out/robustness.json").read_text()) == measured.to_dict()
    with (tmp_path / "out/robustness.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 1 + 4 + 6 and lines[1]["strength"] == "50–7000 Hz"
    assert float(lines[-1]["uar"]) == measured.curves["gain"].points[-1].metrics["uar"].estimate
    image = np.asarray(Image.open(tmp_path / "out/robustness.png").convert("L"))
    assert (image < 128).any()
    first = (tmp_path / "out/robustness.png").read_bytes()
    write(measured, tmp_path / "out")
    assert (tmp_path / "out/robustness.png").read_bytes() == first


def test_curves_measured_before_stay_if_all_else_is_the_same(measured, tmp_path):
    def one(name, **changes):
        return measured.model_copy(update={"curves": {name: measured.curves[name]}, **changes})

    write(one("gain"), tmp_path)
    assert list(write(one("telephone"), tmp_path).curves) == ["telephone", "gain"]
    assert list(json.loads((tmp_path / "robustness.json").read_text())["curves"]) == ["telephone", "gain"]
    assert list(write(one("gain", seed=1), tmp_path).curves) == ["gain"]


def test_the_chart_names_curves_and_strengths(measured, tmp_path, finished):
    svg = chart(measured)
    for word in ("Telephone", "Level", "gain (dB), clipped", "as is", "GSM", "-40"):
        assert word in svg
    assert 'role="img"' in svg and "url(http" not in svg


def test_the_report_shows_what_was_measured(measured, finished, tmp_path):
    import shutil

    shutil.copytree(finished, tmp_path / "run")
    write(measured, tmp_path / "run")
    text = write_report(tmp_path / "run").read_text(encoding="utf-8")
    assert "UAR under 2 kinds of degradation" in text and 'href="robustness.csv"' in text


def test_a_model_that_hears_more_than_speech_is_refused(description, network, tmp_path, synthetic):
    from serkit import features

    entry = {"name": "egg", "feature": features.config(features.build("log_mel")), "channel": "egg"}
    description(inputs=[entry]).save(tmp_path / "toy", network({"egg": 64})[0], "# Toy\n")
    with pytest.raises(UserError, match="reads the electroglottograph"):
        of_bundle(str(tmp_path / "toy"), [f"synthetic={synthetic.folder}"], {}, ["gain"])


def test_a_bundle_is_measured_on_recordings_and_flagged(description, network, tmp_path, synthetic):
    from serkit.data.store import Store

    path = synthetic.utterances[0].path
    seen = Store().hashes([path])[0][path][:16]
    labels = ["anger", "fear", "neutral", "sadness"]
    trained_on = {"corpora": ["synthetic"], "recordings": [seen]}
    description(labels=labels, trained_on=trained_on).save(tmp_path / "toy", network({"mel": 64})[0], "# Toy\n")
    found, failed = of_bundle(str(tmp_path / "toy"), [f"synthetic={synthetic.folder}"], {}, ["gain"])
    assert failed == {} and found.n == 40 and found.model == "toy"
    text = "training leak: 1 of 40 recordings are among those 'toy' was trained on"
    assert found.flags == [Flag("training", "leak", text)]
