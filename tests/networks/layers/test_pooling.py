import numpy as np
import torch

from serkit.networks.layers.pooling import AttentiveStatistics


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
