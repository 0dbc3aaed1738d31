from serkit import systems
from serkit.runs.sizes import size, sizes

HEADER = """
[system]
name = "chain"
[views.mel]
feature = { name = "log_mel", bands = 8 }
[views.deep]
stage = "front"
trainable = %s
[[stages]]
name = "front"
view = "mel"
network = { name = "cnn", channels = [3], strides = [[4, 2]], residual = [0], attention = 2 }
[[stages]]
name = "main"
view = "deep"
network = "linear"
[[stages]]
name = "next"
start_from = "main"
"""


def test_one_stage():
    assert sizes(systems.load("linear-baseline")) == {"main": {"parameters": 1407, "macs": 1400}}
    assert sizes(systems.load("linear-baseline"), classes=4)["main"]["parameters"] == 804
    assert sizes(systems.load("compact-cnn"))["main"]["parameters"] == 214567


def test_multiplications_begin_at_the_features(tmp_path):
    # Of 300 frames: a 5x5 filter on 2 x 150 places, scores of 150 frames of 6 values, a head on 12 values.
    front = 25 * 3 * 2 * 150 + 150 * (6 * 2 + 2 * 6)
    head = 12 * 7
    own = 25 * 3 + 2 * 3 + (6 * 2 + 2) + (2 * 6 + 6) + 2 * 12 + (12 * 7 + 7)
    for trainable in ("true", "false"):
        path = tmp_path / "chain.toml"
        path.write_text(HEADER % trainable)
        found = sizes(systems.load(path))
        assert found["front"] == {"parameters": own, "macs": front + head}
        # What stands before a stage is computed as well, but counted as that stage's parameters.
        assert found["main"]["parameters"] == found["next"]["parameters"] == 12 * 7 + 7
        assert found["main"]["macs"] == found["next"]["macs"] == front + head + 12 * 7


def test_the_whole_of_an_ensemble_is_its_members():
    system = systems.load("cnn-and-functionals")
    own = sizes(system)
    assert own["both"]["parameters"] == 0
    assert size(system, "both", whole=True)["parameters"] == own["perceptron"]["parameters"] + own["cnn"]["parameters"]
