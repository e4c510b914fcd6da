import pytest
import torch

from feature_repo.errors import BadInputError
from trainers.mamba.mamba2 import Mamba2


@pytest.mark.parametrize("steps", [1, 11])
@pytest.mark.parametrize("groups", [1, 2])
def test_the_block_of_transformers_with_the_same_weights(steps: int, groups: int) -> None:
    from transformers import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

    torch.manual_seed(0)
    config = Mamba2Config(
        hidden_size=48,
        num_heads=6,
        head_dim=16,
        state_size=8,
        n_groups=groups,
        conv_kernel=4,
        expand=2,
        chunk_size=4,
    )
    right = Mamba2Mixer(config, 0)
    block = Mamba2(48, 8, headdim=16, ngroups=groups, chunk_size=3)
    block.load_state_dict(right.state_dict())
    right.load_state_dict(block.state_dict())
    x = torch.randn(3, steps, 48)
    expected, found = right(x), block(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    expected.square().sum().backward()
    found.square().sum().backward()
    gradients = dict(right.named_parameters())
    for name, parameter in block.named_parameters():
        wanted = gradients[name].grad
        assert wanted is not None
        torch.testing.assert_close(parameter.grad, wanted, rtol=1e-3, atol=1e-4 * float(wanted.abs().max()))


def test_parameters_are_those_of_mamba_ssm() -> None:
    """Names and shapes as in mamba_ssm 2.3's Mamba2(d_model=128)."""
    assert {name: tuple(part.shape) for name, part in Mamba2(128).state_dict().items()} == {
        "dt_bias": (4,),
        "A_log": (4,),
        "D": (4,),
        "in_proj.weight": (256 + 256 + 2 * 128 + 4, 128),
        "conv1d.weight": (256 + 2 * 128, 1, 4),
        "conv1d.bias": (256 + 2 * 128,),
        "norm.weight": (256,),
        "out_proj.weight": (128, 256),
    }


def test_the_start_is_that_of_mamba_ssm() -> None:
    torch.manual_seed(0)
    block = Mamba2(512, headdim=4)
    decays = block.A_log.detach().exp()
    assert 1 <= float(decays.min()) < 1.5 < 15 < float(decays.max()) <= 16.001
    sizes = torch.nn.functional.softplus(block.dt_bias.detach())
    assert 0.001 * 0.999 <= float(sizes.min()) <= float(sizes.max()) <= 0.1 * 1.001
    assert torch.equal(block.D, torch.ones(256))


def test_the_gate_may_follow_the_norm() -> None:
    torch.manual_seed(0)
    block = Mamba2(8, 4, headdim=4, norm_before_gate=True)
    y, z = torch.randn(2, 3, 16), torch.randn(2, 3, 16)
    expected = torch.nn.functional.rms_norm(y, (16,), eps=1e-5) * z / (1 + torch.exp(-z))
    torch.testing.assert_close(block.norm(y, z), expected)


def test_padding_changes_nothing_that_counts() -> None:
    torch.manual_seed(0)
    block = Mamba2(32, 8, headdim=16, chunk_size=4)
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
        torch.testing.assert_close(together[index, : len(out)], out, rtol=1e-4, atol=1e-5)
        assert not together[index, len(out) :].any()
    together.sum().backward()
    for part, wanted in zip(block.parameters(), gradients, strict=True):
        torch.testing.assert_close(part.grad, wanted, rtol=1e-3, atol=1e-4)


def test_later_steps_do_not_reach_earlier_ones() -> None:
    torch.manual_seed(0)
    block = Mamba2(16, 4, headdim=8, chunk_size=4)
    x = torch.randn(1, 8, 16)
    changed = x.clone()
    changed[0, 5] += 1
    assert torch.equal(block(x)[0, :5], block(changed)[0, :5])
    assert not torch.allclose(block(x)[0, 5:], block(changed)[0, 5:])


def test_channels_that_do_not_split_are_refused() -> None:
    with pytest.raises(BadInputError, match="heads of 64"):
        Mamba2(48)
    with pytest.raises(BadInputError, match="3 equal groups"):
        Mamba2(64, ngroups=3)
