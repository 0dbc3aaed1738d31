import numpy as np
import torch

from serkit.networks.layers.pooling import AttentivePooling, AttentiveStatistics


def test_alike_weights_give_mean_and_deviation():
    pooling = AttentiveStatistics(3, hidden=2)
    torch.nn.init.zeros_(pooling.score[2].weight)
    x = torch.randn(2, 3, 5) * 4 + 7
    found = pooling(x)
    torch.testing.assert_close(found[:, :3], x.mean(2))
    torch.testing.assert_close(found[:, 3:], x.std(2, correction=0), rtol=1e-4, atol=1e-4)


def test_frames_are_weighed_by_their_scores():
    pooling = AttentiveStatistics(2, hidden=1)
    first, second = pooling.score[0], pooling.score[2]
    with torch.no_grad():
        first.weight.copy_(torch.tensor([[[0.5], [-1.0]]]))
        first.bias.fill_(0.1)
        second.weight.copy_(torch.tensor([[[2.0]], [[-3.0]]]))
        second.bias.copy_(torch.tensor([0.3, 0.7]))
    x = np.array([[1.0, 2.0, -1.0], [0.5, -0.5, 3.0]])
    hidden = np.tanh(0.5 * x[0] - x[1] + 0.1)
    expected = []
    for channel, factor in enumerate((2.0, -3.0)):
        weights = np.exp(factor * hidden) / np.exp(factor * hidden).sum()
        mean = (weights * x[channel]).sum()
        expected.append((mean, np.sqrt((weights * (x[channel] - mean) ** 2).sum())))
    found = pooling(torch.tensor(x, dtype=torch.float32)[None])[0].detach().numpy()
    np.testing.assert_allclose(found, [*(mean for mean, _ in expected), *(spread for _, spread in expected)], rtol=1e-4)


def test_weights_add_up_to_1_over_the_valid_frames():
    pooling = AttentiveStatistics(3, hidden=4)
    x = torch.randn(2, 3, 6)
    valid = torch.arange(6) < torch.tensor([[4], [6]])
    weights = pooling.weights(x, valid)
    torch.testing.assert_close(weights.sum(2), torch.ones(2, 3))
    assert not weights[0, :, 4:].any() and weights[0, :, :4].all()
    torch.testing.assert_close(pooling(x, valid)[:, :3], (weights * x).sum(2))


def test_what_is_not_valid_counts_for_nothing():
    pooling = AttentiveStatistics(3, hidden=4)
    x = torch.randn(2, 3, 6)
    valid = torch.arange(6) < torch.tensor([[4], [6]])
    spoilt = x.masked_fill(~valid[:, None], 1e6)
    found = pooling(spoilt, valid)
    torch.testing.assert_close(found[:1], pooling(x[:1, :, :4]))
    torch.testing.assert_close(found[1:], pooling(x[1:]))


def test_a_channel_that_does_not_change_has_a_finite_gradient():
    pooling = AttentiveStatistics(1, hidden=1)
    x = torch.ones(1, 1, 4, requires_grad=True)
    found = pooling(x)
    found.sum().backward()
    torch.testing.assert_close(found[0, 1], torch.tensor(0.01))  # the floor: a variance of 1e-4
    assert x.grad.isfinite().all()


def attention():
    """Attention with one hidden unit, frames of two numbers, and what they weigh before they add up to 1."""
    pooling = AttentivePooling(2, hidden=1)
    with torch.no_grad():
        pooling.score[0].weight.copy_(torch.tensor([[0.5, -1.0]]))
        pooling.score[0].bias.fill_(0.25)
        pooling.score[2].weight.fill_(2.0)
    scores = 2 * np.tanh([0.5 + 0.25, -1 + 0.25, 1 - 1 + 0.25])
    return pooling, torch.tensor([[[1.0, 0.0], [0.0, 1.0], [2.0, 1.0]]]), np.exp(scores)


def test_attention_is_a_weighted_mean_of_the_frames():
    pooling, x, weights = attention()
    weights /= weights.sum()
    expected = [weights[0] + 2 * weights[2], weights[1] + weights[2]]
    np.testing.assert_allclose(pooling(x)[0].detach(), expected, rtol=1e-5)
    assert sum(parameter.numel() for parameter in AttentivePooling(128, 128).parameters()) == 16640


def test_attention_leaves_out_what_is_not_valid():
    pooling, x, weights = attention()
    spoilt = torch.cat([x, torch.full((1, 1, 2), 50.0)], 1)
    found = pooling(spoilt, torch.tensor([[True, True, False, False]]))
    np.testing.assert_allclose(found[0].detach(), weights[:2] / weights[:2].sum(), rtol=1e-5)
