"""Models of a run's folds, made again; more of it in tests/reports and tests/papers."""

import numpy as np
import pytest
import torch

from serkit.errors import UserError
from serkit.features import build, interval
from serkit.features.speech_log_mel import SpeechLogMel
from serkit.networks.network import Batch
from serkit.runs import tested

WINDOWS = {"items": {"seconds": 0.8, "tail": "keep"}}


def model_of(made):
    return tested.Tested(made.experiment, made.split, made.finished["main"])


def test_samples_give_what_the_utterance_gives(bench):
    made = bench.train({"name": "main"}, data=WINDOWS)
    one = model_of(made)
    utterances = [utterance for utterance in made.experiment.scored if utterance.id in made.split.test]
    wanted = made.probabilities(made.finished["main"], utterances, "emotion")
    found = [one.probabilities(*one.hear(utterance.id)) for utterance in utterances]
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_attention_is_that_of_each_window(bench):
    made = bench.train({"name": "main"}, data=WINDOWS)
    one = model_of(made)
    id = made.split.test[0]
    items = one.items([id])
    found = one.attention(id)
    assert len(found) == len(items) > 1
    for item, (edges, shares) in zip(items, found, strict=True):
        assert edges[0] == pytest.approx(item.start) and edges[-1] == pytest.approx(item.end, abs=1e-3)
        assert len(edges) == len(shares) + 1 and shares.mean() == pytest.approx(1.0)
    network, feature = one.finished.model.network, one.views["mel"][1]
    assert network.keep == ()
    array = torch.from_numpy(feature(items[0].signal(feature.rate, one.windowing)))[None]
    with torch.inference_mode():
        prepared = one.finished.model.prepared(Batch({"mel": array}))
        x = network.run(prepared)[0].flatten(1, 2)
        weights = network.pooling.weights(x)[0].mean(0)
    np.testing.assert_allclose(found[0][1], weights / weights.mean(), rtol=1e-5)


def test_a_transformer_s_attention_goes_over_all_of_a_padded_window(bench):
    image = {"name": "logmel_image", "size": [8, 32], "bands": 24, "fft": 512, "hop": 256}
    vit = {"name": "vit", "depth": 1, "heads": 1, "head_size": 4, "hidden": 4, "width": 6, "patch": [4, 2]}
    stage = {"name": "main", "views": ["image"], "network": vit}
    made = bench.train(stage, views={"image": {"feature": image}}, data={"items": {"seconds": 4.0, "tail": "pad"}})
    [(edges, shares)] = model_of(made).attention(made.split.test[0])
    # Two rows of patches add up to one moment for each of 16 columns.
    np.testing.assert_allclose(edges, np.linspace(0, 4, 17))
    assert shares.shape == (16,) and shares.mean() == pytest.approx(1.0) and shares.std() > 0


def test_a_network_that_weighs_nothing_has_no_attention(bench):
    linear = {"name": "main", "views": ["flat"], "network": {"name": "linear"}}
    made = bench.train(linear)
    assert model_of(made).attention(made.split.test[0]) == []


def test_samples_of_speech_are_not_enough_for_a_further_channel(bench):
    views = {"egg": {"feature": {"name": "log_mel", "bands": 8, "hop": 800, "length": 512}, "channel": "egg"}}
    made = bench.train({"name": "main", "views": ["egg"]}, views=views)
    one = model_of(made)
    with pytest.raises(UserError, match="view 'egg' reads channel 'egg'"):
        one.probabilities(*one.hear(made.split.test[0]))


def test_a_feature_says_which_part_it_shows():
    rate, hop = 16000, 256
    tone = 0.3 * np.sin(2 * np.pi * 500 * np.arange(rate) / rate)
    signal = np.concatenate([np.zeros(rate), tone, np.zeros(rate // 2)]).astype(np.float32)
    start, end = interval(SpeechLogMel(), signal)
    # Three frames of margin, and those the window reaches into.
    assert start == pytest.approx(1.0 - 3 * hop / rate, abs=2 * hop / rate)
    assert end == pytest.approx(2.0 + 3 * hop / rate, abs=3 * hop / rate)
    assert interval(build("log_mel"), signal) == (0.0, 2.5)
