import torch

from serkit.networks.layers.scale import Scale
from serkit.networks.linear import Linear
from serkit.networks.network import Batch, Model


def test_an_output_of_zero_is_the_mean_and_of_one_a_deviation_more():
    scale = Scale()
    scale.fit(torch.tensor([10.0, 20.0, 30.0, 40.0]))
    # Population: sqrt((225 + 25 + 25 + 225) / 4).
    torch.testing.assert_close(scale(torch.tensor([0.0, 1.0, -2.0])), 25 + 125**0.5 * torch.tensor([0.0, 1.0, -2.0]))


def test_labels_that_are_all_alike_are_only_shifted():
    scale = Scale()
    scale.fit(torch.tensor([3.0, 3.0]))
    assert (float(scale.mean), float(scale.deviation)) == (3, 1)


def test_a_model_answers_in_the_units_of_the_labels_and_keeps_them_with_its_weights():
    network = Linear({"x": (2,)}, {"age": 1})
    model = Model(network, scales={"age": Scale()})
    model.scale("age").fit(torch.tensor([20.0, 60.0]))
    batch = Batch({"x": torch.tensor([[1.0, 2.0], [-1.0, 0.5]])})
    raw = network(batch).predictions["age"]
    torch.testing.assert_close(model(batch).predictions["age"], 40 + 20 * raw)
    torch.testing.assert_close(model.headless()(batch).predictions["age"], 40 + 20 * raw)
    assert {name for name in model.state_dict() if name.startswith("scales")} == {
        "scales.age.mean",
        "scales.age.deviation",
    }
    other = Model(Linear({"x": (2,)}, {"age": 1}), scales={"age": Scale()})
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(other(batch).predictions["age"], 40 + 20 * raw)


def test_targets_without_a_scale_are_left_alone():
    network = Linear({"x": (2,)}, {"emotion": 3, "age": 1})
    model = Model(network, scales={"age": Scale()})
    model.scale("age").fit(torch.tensor([0.0, 4.0]))
    batch = Batch({"x": torch.tensor([[1.0, 2.0]])})
    raw, found = network(batch).predictions, model(batch).predictions
    torch.testing.assert_close(found["emotion"], raw["emotion"])
    torch.testing.assert_close(found["age"], 2 + 2 * raw["age"])
