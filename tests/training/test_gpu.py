"""Training on an NVIDIA GPU: `make test-gpu`. Without one, everything here is skipped."""

import gc

import numpy as np
import pytest
import torch
from test_loop import EVERYTHING, make_cnn, make_data, same, train, without_seconds

from serkit import systems
from serkit.corpora.corpus import Utterance
from serkit.data.items import Item
from serkit.errors import UserError
from serkit.networks.network import Batch
from serkit.runs.models import assemble
from serkit.training import checkpoint, together
from serkit.training.batches import ItemData

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU"),
]

PRECISIONS = ["32-true", "bf16-mixed", "16-mixed"]

#: Frames of a view whose time is free.
FRAMES = 128


@pytest.fixture
def deterministic(monkeypatch):
    """Only operations that give the same bits each time."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.backends.cudnn.benchmark, torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.benchmark, torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def allocated():
    gc.collect()
    torch.cuda.synchronize()
    return torch.cuda.memory_allocated()


@pytest.mark.parametrize("precision", PRECISIONS)
def test_each_precision_learns(tmp_path, precision):
    settings = {"epochs": 12, "batch_size": 5, "learning_rate": 0.02, "precision": precision}
    model, progress = train(tmp_path, data=make_data(noise=0.3), accelerator="cuda", **settings)
    history = progress.history
    assert progress.precision == precision
    assert history[-1]["training_loss"] < history[0]["training_loss"] / 2
    assert history[-1]["validation_uar"] == 1
    assert all(value.device.type == "cpu" and value.dtype != torch.float16 for value in model.state_dict().values())


def test_auto_is_bfloat16_where_the_gpu_has_it(tmp_path):
    _, progress = train(tmp_path, epochs=1, batch_size=5, learning_rate=0.01, precision="auto", accelerator="auto")
    assert (progress.precision == "bf16-mixed") == torch.cuda.is_bf16_supported(including_emulation=False)


def test_a_run_repeats_bit_for_bit(tmp_path, deterministic):
    runs = [train(tmp_path / name, accelerator="cuda", **EVERYTHING) for name in ("first", "again")]
    assert same(runs[0][0], runs[1][0])
    assert without_seconds(runs[0][1].history) == without_seconds(runs[1][1].history)


def test_the_gpu_learns_what_the_processor_learns(tmp_path, deterministic):
    settings = {"epochs": 3, "batch_size": 5, "learning_rate": 0.01, "precision": "32-true"}
    losses = []
    for accelerator in ("cpu", "cuda"):
        model = make_cnn()
        model.network.dropout = torch.nn.Identity()
        _, progress = train(tmp_path / accelerator, model=model, accelerator=accelerator, **settings)
        losses.append([record["training_loss"] for record in progress.history])
    np.testing.assert_allclose(losses[0], losses[1], rtol=5e-2)


@pytest.mark.parametrize("ways", [("cpu", "cuda"), ("cuda", "cpu"), ("cuda", "cuda")])
def test_a_training_goes_on_on_another_device(tmp_path, ways):
    settings = {**EVERYTHING, "precision": "32-true"}
    train(tmp_path, accelerator=ways[0], **{**settings, "epochs": 2})
    _, progress = train(tmp_path, accelerator=ways[1], **settings)
    assert progress.epoch == settings["epochs"]
    tensors = checkpoint.read_weights(tmp_path / "checkpoint.safetensors")
    assert all(value.device.type == "cpu" for value in tensors.values())


def test_memory_is_given_back(tmp_path):
    train(tmp_path / "first", epochs=1, batch_size=5, learning_rate=0.01, accelerator="cuda")
    before = allocated()
    for turn in range(3):
        train(tmp_path / str(turn), epochs=2, batch_size=5, learning_rate=0.01, accelerator="cuda")
    assert allocated() <= before


def test_too_little_memory_is_one_line(tmp_path):
    arrays = [np.zeros((8, 4_000_000), dtype=np.float32)] * 4
    items = [Item(Utterance(f"table/{row}", "x.wav", targets={"emotion": "ab"[row % 2]})) for row in range(4)]
    data = ItemData(items, {"mel": arrays}, {"mel": (8, None)}, {"emotion": ["a", "b"]})
    torch.cuda.set_per_process_memory_fraction(0.001)
    try:
        with pytest.raises(UserError, match="use a smaller batch_size or network"):
            train(tmp_path, data=data, split=4, epochs=1, batch_size=4, learning_rate=0.01, accelerator="cuda")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.parametrize(
    "name", [name for name in systems.available() if not name.startswith("ssl-")]
)  # they need encoders
def test_each_system_takes_a_step(name):
    """Each stage's network, forward and backward; a tensor that is made on the processor fails here."""
    system = systems.load(name)
    for stage in system.stages:
        if stage.network is None and stage.start_from is None:
            continue
        model, inputs = assemble(system, stage.name, 4)
        views = {view: torch.randn(4, *[size or FRAMES for size in shape]).cuda() for view, shape in inputs.items()}
        lengths = {
            view: torch.tensor([FRAMES, FRAMES - 1, FRAMES, FRAMES]).cuda()
            for view, shape in inputs.items()
            if None in shape
        }
        model = model.cuda().train()
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        optimizer = torch.optim.Adam(weights, fused=True)
        with torch.autocast("cuda", torch.bfloat16):
            output = model(Batch(views, lengths))
        made = [*output.predictions.values(), output.features]
        sum(value.float().square().mean() for value in made).backward()
        optimizer.step()
        assert all(value.device.type == "cuda" and bool(value.isfinite().all()) for value in made)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
def test_two_gpus_learn_what_one_learns(tmp_path, deterministic):
    settings = {"epochs": 3, "batch_size": 8, "learning_rate": 0.01, "precision": "32-true"}
    models = [make_cnn(), make_cnn()]
    for model in models:
        model.network.dropout = torch.nn.Identity()
    _, one = train(tmp_path / "one", model=models[0], accelerator="cuda", **settings)
    with together.joined(2, 1, "cuda", threads=1):
        _, two = train(tmp_path / "two", model=models[1], accelerator="cuda", **settings)
    # Also with batch normalization, which uses the statistics of both.
    for first, second in zip(one.history, two.history, strict=True):
        assert first["training_loss"] == pytest.approx(second["training_loss"], rel=1e-3)
