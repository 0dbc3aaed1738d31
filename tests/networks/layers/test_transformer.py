import math

import pytest
import torch
import torch.nn.functional as F

from serkit.networks.layers.transformer import Attention, Block


def test_attention_by_hand():
    attention = Attention(width=1, heads=1, head_size=1, dropout=0.0)
    with torch.no_grad():
        attention.qkv.weight.copy_(torch.tensor([[1.0], [2.0], [3.0]]))
        attention.projection.weight.fill_(0.5)
        attention.projection.bias.fill_(0.25)
    x = torch.tensor([[[1.0], [-1.0], [0.5]]])
    # The first token's query is 1; keys are 2, -2, 1, values 3, -3, 1.5.
    weights = [math.exp(2), math.exp(-2), math.exp(1)]
    total = sum(weights)
    expected = 0.5 * (3 * weights[0] - 3 * weights[1] + 1.5 * weights[2]) / total + 0.25
    assert attention(x)[0, 0, 0].item() == pytest.approx(expected, rel=1e-5)
    assert attention.of_class_token(x)[0].tolist() == pytest.approx([weights[1] / total, weights[2] / total])


@pytest.mark.parametrize("bias", [False, True])
def test_attention_is_that_of_torch(bias):
    torch.manual_seed(0)
    attention = Attention(width=6, heads=3, head_size=2, dropout=0.0, bias=bias)
    # Torch's own needs heads * head_size = width.
    reference = torch.nn.MultiheadAttention(6, 3, batch_first=True)
    x = 3 * torch.randn(2, 5, 6)
    with torch.no_grad():
        reference.in_proj_weight.copy_(attention.qkv.weight)
        reference.in_proj_bias.copy_(attention.qkv.bias if bias else torch.zeros(18))
        reference.out_proj.load_state_dict(attention.projection.state_dict())
        expected, weights = reference(x, x, x)
    torch.testing.assert_close(attention(x), expected)
    torch.testing.assert_close(attention.of_class_token(x), weights[:, 0, 1:])


def test_a_layer_is_pre_norm():
    torch.manual_seed(0)
    block, x = Block(6, 3, 2, 5, 0.0), torch.randn(2, 4, 6)
    inside = x + block.attention(F.layer_norm(x, (6,)))
    into, out = block.perceptron[1], block.perceptron[4]
    expected = inside + out(F.gelu(into(F.layer_norm(inside, (6,)))))
    torch.testing.assert_close(block(x), expected)
