import math

import pytest
import torch

from feature_repo.errors import BadInputError
from trainers.mamba import mamba
from trainers.mamba.mamba import Mamba
from trainers.mamba.scan import selective_scan_plain


@pytest.mark.parametrize("steps", [1, 3, 11])
@pytest.mark.parametrize("bias", [False, True])
def test_the_block_of_transformers_with_the_same_weights(steps: int, bias: bool) -> None:
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    torch.manual_seed(0)
    config = MambaConfig(
        hidden_size=48,
        state_size=8,
        conv_kernel=4,
        expand=2,
        num_hidden_layers=1,
        use_bias=bias,
        use_mambapy=False,
    )
    right = MambaMixer(config, 0)
    block = Mamba(48, 8, bias=bias)
    block.load_state_dict(right.state_dict())
    x = torch.randn(3, steps, 48)
    expected = right(x)
    torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-6)
    expected.square().sum().backward()
    block(x).square().sum().backward()
    gradients = dict(right.named_parameters())
    for name, parameter in block.named_parameters():
        wanted = gradients[name].grad
        assert wanted is not None
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-4, atol=1e-5 * float(wanted.abs().max()))


def test_parameters_are_those_of_mamba_ssm() -> None:
    """Names and shapes as in mamba_ssm 2.3's Mamba(d_model=64, d_state=16, d_conv=4, expand=2)."""
    assert {name: tuple(part.shape) for name, part in Mamba(64).state_dict().items()} == {
        "A_log": (128, 16),
        "D": (128,),
        "in_proj.weight": (256, 64),
        "conv1d.weight": (128, 1, 4),
        "conv1d.bias": (128,),
        "x_proj.weight": (36, 128),
        "dt_proj.weight": (128, 4),
        "dt_proj.bias": (128,),
        "out_proj.weight": (64, 128),
    }


def test_the_start_is_that_of_the_paper() -> None:
    torch.manual_seed(0)
    block = Mamba(512, 8)
    assert torch.allclose(block.A_log.exp(), torch.arange(1.0, 9.0).expand(1024, 8))
    assert torch.equal(block.D, torch.ones(1024))
    sizes = torch.nn.functional.softplus(block.dt_proj.bias.detach())
    assert 0.001 * 0.999 <= float(sizes.min()) <= float(sizes.max()) <= 0.1 * 1.001
    # Even over the logarithm: the middle of 1e-3 and 1e-1 is 1e-2.
    assert math.isclose(float(sizes.log10().median()), -2.0, abs_tol=0.15)
    assert float(block.dt_proj.weight.detach().abs().max()) <= 32**-0.5
    constant = Mamba(64, dt_init="constant", dt_rank=9, dt_scale=0.6)
    assert torch.allclose(constant.dt_proj.weight, torch.full((128, 9), 0.2))


def test_padding_changes_nothing_that_counts() -> None:
    torch.manual_seed(0)
    block = Mamba(32, 4)
    rows = [torch.randn(length, 32) for length in (5, 1, 3)]
    alone = [block(row[None])[0] for row in rows]
    torch.stack([out.sum() for out in alone]).sum().backward()
    gradients = [part.grad.clone() for part in block.parameters() if part.grad is not None]
    block.zero_grad()
    padded = torch.full((3, 7, 32), float("nan"))
    for index, row in enumerate(rows):
        padded[index, : len(row)] = row
    together = block(padded, torch.tensor([5, 1, 3]))
    for index, out in enumerate(alone):
        torch.testing.assert_close(together[index, : len(out)], out, rtol=1e-5, atol=1e-6)
        assert not together[index, len(out) :].any()
    together.sum().backward()
    for part, wanted in zip(block.parameters(), gradients, strict=True):
        torch.testing.assert_close(part.grad, wanted, rtol=1e-4, atol=1e-5)


def test_later_steps_do_not_reach_earlier_ones() -> None:
    torch.manual_seed(0)
    block = Mamba(16, 4)
    x = torch.randn(1, 8, 16)
    changed = x.clone()
    changed[0, 5] += 1
    assert torch.equal(block(x)[0, :5], block(changed)[0, :5])
    assert not torch.allclose(block(x)[0, 5:], block(changed)[0, 5:])


def test_the_block_on_every_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    block = Mamba(24, 6)
    x = torch.randn(2, 9, 24)
    lengths = torch.tensor([9, 4])
    found = block(x, lengths)
    monkeypatch.setattr(mamba, "selective_scan", selective_scan_plain)
    right = block.double()(x.double(), lengths)
    torch.testing.assert_close(found.double(), right, rtol=1e-5, atol=1e-6)


def test_shapes_that_do_not_fit_are_named() -> None:
    block = Mamba(16, 4)
    with pytest.raises(BadInputError, match=r"\[batch, steps, 16\]"):
        block(torch.zeros(2, 3, 15))
    with pytest.raises(BadInputError, match="one for each of the 2 rows"):
        block(torch.zeros(2, 3, 16), torch.tensor([1, 2, 3]))
    with pytest.raises(BadInputError, match="0 to 3"):
        block(torch.zeros(2, 3, 16), torch.tensor([1, 4]))
