import json
import os
import shutil
from pathlib import Path

import pytest

from serkit import features
from serkit.errors import UserError
from serkit.recognition import Bundle, Recognizer, available, find
from serkit.recognition.bundle import BundleError
from serkit.windowing import Windowing


@pytest.fixture
def folder(tmp_path, network, description):
    """A sound bundle, to be broken."""
    description().save(tmp_path / "mine", network({"mel": 64})[0], "# Mine\n")
    return tmp_path / "mine"


def edit(folder, **changes):
    path = folder / "bundle.json"
    content = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in content.items() if value != "REMOVE"}))


def test_saved_and_loaded_again(folder, description):
    bundle = Bundle.load(folder)
    assert bundle.labels == ["anger", "joy", "neutral", "sadness"]
    assert bundle.windowing == Windowing(seconds=1.0, tail="keep", minimum=0.25)
    assert bundle.features() == {"mel": features.build("log_mel")}
    assert bundle.scores[1].flags == ["speaker overlap"]
    assert bundle.model_dump(exclude={"model"}) == description().model_dump(exclude={"model"})
    assert (folder / "CARD.md").read_text() == "# Mine\n"
    assert sorted(path.name for path in folder.iterdir()) == ["CARD.md", "bundle.json", "model.onnx"]


def test_weights_are_optional(tmp_path, description):
    description().save(tmp_path / "mine", b"model", "# Mine\n", weights=b"weights")
    assert (tmp_path / "mine" / "weights.safetensors").read_bytes() == b"weights"


def test_an_existing_folder_is_not_overwritten(folder, description):
    with pytest.raises(BundleError, match="already exists"):
        description().save(folder, b"other", "# Other\n")
    assert Bundle.load(folder)


def test_a_failed_save_leaves_nothing(tmp_path, description):
    with pytest.raises(TypeError):
        description().save(tmp_path / "mine", b"model", card=None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "has format 2, but this serkit reads formats up to 1; update serkit"),
        ({"format": "new"}, "key 'format' is 'new'"),
        ({"labels": "REMOVE"}, "key 'labels' is missing"),
        ({"model": "REMOVE"}, "key 'model' is missing"),
        ({"labels": ["joy", "joy"]}, "a label appears twice"),
        ({"labels": ["joy"]}, "key 'labels' is ['joy']"),
        ({"labls": []}, "unknown key 'labls'. Did you mean 'labels'?"),
        ({"windowing": {"secnds": 8.0}}, "unknown key 'windowing.secnds'"),
        ({"windowing": {"seconds": "long"}}, "key 'windowing.seconds' is 'long'"),
        ({"windowing": {"seconds": float("nan")}}, "windows of nan s every None s"),
        ({"windowing": {"tail": "tial"}}, "unknown tail 'tial'. Available: drop, first"),
        ({"inputs": []}, "key 'inputs' is []"),
        ({"size": {}}, "key 'size.parameters' is missing"),
        ({"model": {"file": "../other.onnx", "sha256": "0"}}, "key 'model.file' is '../other.onnx'"),
    ],
)
def test_wrong_descriptions(folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(BundleError) as caught:
        Bundle.load(folder)
    assert str(caught.value).startswith(str(folder / "bundle.json"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ({"name": "log_mel", "version": 99}, "version 99 is required; this serkit computes version 1"),
        ({"name": "log_mol", "version": 1}, "unknown feature 'log_mol'. Did you mean 'log_mel'?"),
        ({"name": "log_mel", "version": 1, "bnds": 3}, "unknown option of feature 'log_mel' 'bnds'"),
    ],
)
def test_features_this_serkit_lacks(folder, feature, message):
    edit(folder, inputs=[{"name": "mel", "feature": feature, "channel": None}])
    with pytest.raises(BundleError) as caught:
        Recognizer(Bundle.load(folder))
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(folder / "bundle.json"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{'a': 1}", "not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "JSON that serkit does not accept"),
        (b"[1]", "must hold an object, got a list"),
    ],
)
def test_a_description_that_is_none(folder, content, message):
    (folder / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match=message):
        Bundle.load(folder)


def test_missing_and_corrupt_files(folder, tmp_path):
    model = folder / "model.onnx"
    content = model.read_bytes()
    model.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(BundleError, match=r"model\.onnx: corrupt"):
        Bundle.load(folder)
    model.unlink()
    with pytest.raises(BundleError, match=r"model\.onnx: missing"):
        Bundle.load(folder)
    (folder / "bundle.json").unlink()
    with pytest.raises(BundleError, match=r"not a bundle: bundle\.json is missing"):
        Bundle.load(folder)
    with pytest.raises(BundleError, match="no such folder"):
        Bundle.load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"inputs": {"other": 64}}, "its inputs are 'other', but bundle.json has 'mel'"),
        ({"inputs": {"mel": 40}}, "input 'mel' is tensor(float) (batch, 40, time); feature 'log_mel'"),
        ({"inputs": {"mel": 64}, "labels": 5}, "(batch, 5); 4 labels require tensor(float) (batch, 4)"),
        ({"inputs": {"mel": 64}, "output": "logits_out"}, "its only output must be 'probabilities', got 'logits_out'"),
        ({"inputs": {"mel": 64, "egg": 8}}, "its inputs are 'mel', 'egg', but bundle.json has 'mel'"),
    ],
)
def test_networks_that_do_not_fit(tmp_path, network, description, options, message):
    bundle = description().save(tmp_path / "mine", network(**options)[0], "# Mine\n")
    with pytest.raises(BundleError) as caught:
        Recognizer(bundle)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "mine" / "model.onnx"))


def test_a_fixed_time_axis_does_not_fit(tmp_path, network, description):
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(network({"mel": 64})[0])
    model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 100
    bundle = description().save(tmp_path / "mine", model.SerializeToString(), "# Mine\n")
    with pytest.raises(BundleError, match=r"\(batch, 64, 100\); feature 'log_mel' gives .*\(batch, 64, time\)"):
        Recognizer(bundle)


def test_doubles_do_not_fit(tmp_path, network, description):
    onnx = pytest.importorskip("onnx")
    model = onnx.load_from_string(network({"mel": 64})[0])
    cast = onnx.helper.make_node("Cast", ["wide"], ["mel"], to=onnx.TensorProto.FLOAT)
    model.graph.node.insert(0, cast)
    model.graph.input[0].name = "wide"
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    wide = [{"name": "wide", "feature": features.config(features.build("log_mel")), "channel": None}]
    bundle = description(inputs=wide).save(tmp_path / "mine", model.SerializeToString(), "# Mine\n")
    with pytest.raises(BundleError, match=r"input 'wide' is tensor\(double\)"):
        Recognizer(bundle)


def test_a_file_that_is_no_network(tmp_path, description):
    bundle = description().save(tmp_path / "mine", b"no network at all", "# Mine\n")
    with pytest.raises(BundleError, match=r"model\.onnx: onnxruntime cannot load it \(.*[Pp]rotobuf"):
        Recognizer(bundle)


def test_found_by_name_and_by_path(toy, tmp_path, network, description, monkeypatch):
    assert find("toy") == toy
    assert find(str(toy)) == toy
    cached = tmp_path / "cache" / "bundles" / "cached"
    description().save(cached, network({"mel": 64})[0], "# Cached\n")
    assert find("cached") == cached
    assert [folder.name for folder in available() if folder.name in ("cached", "toy")] == ["cached", "toy"]
    monkeypatch.chdir(toy.parent.parent)
    assert find(toy.parent.name) == find(f"{toy.parent.name}/")  # a folder here is no name, but a path


def test_a_path_is_not_a_name(toy, tmp_path, monkeypatch):
    shutil.copytree(toy, tmp_path / "emodb")
    monkeypatch.chdir(tmp_path)
    assert find("emodb").parent.name == "bundles"
    assert find(Path("emodb")) == Path("emodb") and find("./emodb") == Path("emodb")


def test_the_first_folder_of_the_variable_wins(toy, tmp_path, monkeypatch):
    other = tmp_path / "other" / "toy"
    other.mkdir(parents=True)
    (other / "bundle.json").write_text("{}")
    monkeypatch.setenv("SERKIT_BUNDLES", f"{other.parent}{os.pathsep}{toy.parent}")
    assert find("toy") == other


def test_unknown_names_list_those_there_are(toy):
    with pytest.raises(UserError, match=r"unknown bundle 'tpy'. Did you mean 'toy'\?"):
        find("tpy")
    with pytest.raises(UserError, match=r"no such folder; a bundle is a folder with bundle\.json"):
        find("some/where")
    with pytest.raises(UserError, match=r"~nobody-of-that-name/mine: no such folder"):
        find("~nobody-of-that-name/mine")
