import numpy as np
import pytest
import torch

from serkit.errors import UserError
from serkit.networks.layers.normalization import Normalisation


@pytest.fixture
def levels():
    """Items of 4 bands and unlike lengths, each band with its own mean and deviation."""
    generator = np.random.default_rng(0)
    offset, spread = np.array([[-60.0], [3.0], [0.0], [500.0]]), np.array([[0.01], [1.0], [7.0], [90.0]])
    return [(offset + spread * generator.standard_normal((4, length))).astype(np.float32) for length in (5, 1, 12)]


def padded(items):
    lengths = torch.tensor([item.shape[1] for item in items])
    batch = torch.zeros(len(items), items[0].shape[0], int(lengths.max()))
    for row, item in enumerate(items):
        batch[row, :, : item.shape[1]] = torch.from_numpy(item)
    return batch, lengths


@pytest.mark.parametrize(("kind", "axes"), [("band", 1), ("global", (0, 1))])
def test_standardises_as_numpy_does(levels, kind, axes):
    layer = Normalisation((4, None), kind)
    layer.fit(torch.from_numpy(item) for item in levels)
    joined = np.concatenate(levels, axis=1).astype(np.float64)
    mean, deviation = joined.mean(axes, keepdims=True), joined.std(axes, keepdims=True)
    np.testing.assert_allclose(layer.mean.numpy(), mean, rtol=1e-6)
    np.testing.assert_allclose(layer.deviation.numpy(), deviation, rtol=1e-6)
    batch, lengths = padded(levels)
    found = layer(batch, lengths).numpy()
    for row, item in enumerate(levels):
        length = item.shape[1]
        np.testing.assert_allclose(found[row, :, :length], (item - mean) / deviation, rtol=1e-4, atol=1e-2)
        assert (found[row, :, length:] == 0).all()


def test_without_lengths_all_is_valid(levels):
    layer = Normalisation((4, None), "band")
    layer.fit([torch.from_numpy(levels[0])])
    x = torch.from_numpy(levels[0])[None]
    torch.testing.assert_close(layer(x), (x - layer.mean) / layer.deviation)
    # The padding is at the mean, even where the mean is not 0.
    assert (layer(torch.zeros(1, 4, 3), torch.tensor([2]))[0, :, 2] == 0).all()


@pytest.mark.parametrize("kind", ["band", "global"])
def test_item_by_item_is_all_at_once(levels, kind):
    streamed, whole = Normalisation((4, None), kind), Normalisation((4, None), kind)
    streamed.fit(torch.from_numpy(item) for item in levels)
    whole.fit([torch.from_numpy(np.concatenate(levels, axis=1))])
    torch.testing.assert_close(streamed.mean, whole.mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(streamed.deviation, whole.deviation, rtol=1e-6, atol=0)


def test_a_view_without_time():
    images = torch.from_numpy(np.random.default_rng(1).normal(5, 3, (20, 2, 3)).astype(np.float32))
    layer = Normalisation((2, 3), "band")
    layer.fit(images)
    torch.testing.assert_close(layer.mean, images.mean(0))
    torch.testing.assert_close(layer.deviation, images.std(0, correction=0))
    single = Normalisation((2, 3), "global")
    single.fit(images)
    assert single.mean.shape == single.deviation.shape == (1, 1)
    torch.testing.assert_close(single.deviation.flatten()[0], images.std(correction=0))


@pytest.mark.parametrize("level", [-60.0, 1000.1])
def test_a_band_that_never_changes_is_only_centred(level):
    generator = torch.Generator().manual_seed(1)
    noise = [torch.randn(50 + row % 7, generator=generator) * 10 - 30 for row in range(1000)]
    layer = Normalisation((2, None), "band")
    layer.fit(torch.stack([torch.full_like(values, level), values]) for values in noise)
    assert layer.deviation[0] == 1
    assert layer(torch.full((1, 2, 3), level))[0, 0].abs().max() < 1e-3


def test_nothing_to_fit_changes_nothing():
    layer = Normalisation((2, None), "band")
    layer.fit([torch.zeros(2, 0)])
    x = torch.randn(1, 2, 4)
    assert torch.equal(layer(x), x)


def test_unknown_kind():
    with pytest.raises(
        UserError, match=r"unknown normalisation 'bands'. Did you mean 'band'\? Available: band, global"
    ):
        Normalisation((2, None), "bands")
