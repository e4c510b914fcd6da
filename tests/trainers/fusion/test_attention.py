"""Pre-norm attention layers over tokens of which some are missing."""

import torch
from torch import Tensor
from torch.nn import functional as F

from trainers.fusion.attention import AttentionStack


def _by_hand(stack: AttentionStack, tokens: Tensor, heads: int) -> Tensor:
    x = torch.cat([stack.first[None], tokens])
    for layer in stack.layers:
        read = layer.norm1(x)
        parts = F.linear(read, layer.self_attn.in_proj_weight, layer.self_attn.in_proj_bias).chunk(3, dim=1)
        query, key, value = (part.view(len(x), heads, -1).transpose(0, 1) for part in parts)
        weights = (query @ key.transpose(1, 2) / query.shape[-1] ** 0.5).softmax(-1)
        x = x + layer.self_attn.out_proj((weights @ value).transpose(0, 1).flatten(1))
        x = x + layer.linear2(F.gelu(layer.linear1(layer.norm2(x))))
    return stack.norm(x[0])


def test_a_row_is_as_the_formula_of_its_present_tokens_says() -> None:
    torch.manual_seed(0)
    stack = AttentionStack(16, 2, heads=4, ffn_mult=3, dropout=0.5).eval()
    tokens = torch.randn(3, 5, 16)
    present = torch.tensor([[1, 1, 1, 1, 1], [0, 1, 0, 0, 1], [0, 0, 0, 0, 0]]).bool()
    made = stack(tokens, present)
    for row in range(3):
        torch.testing.assert_close(made[row], _by_hand(stack, tokens[row, present[row]], 4))


def test_layers_start_from_different_weights() -> None:
    one, other = AttentionStack(16, 2, heads=4, ffn_mult=3, dropout=0.0).layers
    assert not torch.equal(one.linear1.weight, other.linear1.weight)
