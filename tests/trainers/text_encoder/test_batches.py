"""Every text once an epoch, texts of like length together, another order each epoch."""

import numpy as np
import torch

from trainers.text_encoder.batches import shuffled_batches, sorted_batches

LENGTHS = np.random.default_rng(0).integers(1, 200, 3000).tolist()


def padding(batches: list[torch.Tensor]) -> float:
    spent = sum(len(batch) * max(LENGTHS[row] for row in batch.tolist()) for batch in batches)
    return spent / sum(LENGTHS) - 1


def test_every_text_is_there_once() -> None:
    for batches in (shuffled_batches(LENGTHS, 16, 0, 0), sorted_batches(LENGTHS, 16)):
        assert sorted(torch.cat(batches).tolist()) == list(range(3000))
        assert max(map(len, batches)) == 16


def test_little_is_padding() -> None:
    at_random = padding(list(torch.split(torch.randperm(3000), 16)))
    assert at_random > 0.8
    assert padding(shuffled_batches(LENGTHS, 16, 0, 0)) < 0.1


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    before = torch.get_rng_state()
    one, again = shuffled_batches(LENGTHS, 16, 0, 1), shuffled_batches(LENGTHS, 16, 0, 1)
    assert all(torch.equal(*pair) for pair in zip(one, again, strict=True))
    assert torch.equal(before, torch.get_rng_state())
    for other in (shuffled_batches(LENGTHS, 16, 0, 2), shuffled_batches(LENGTHS, 16, 1, 1)):
        assert not torch.equal(one[0], other[0])


def test_batches_do_not_come_by_length() -> None:
    longest = [max(LENGTHS[row] for row in batch.tolist()) for batch in shuffled_batches(LENGTHS, 16, 0, 0)]
    ranks = np.corrcoef(np.arange(len(longest)), longest)[0, 1]
    assert abs(ranks) < 0.25


def test_the_longest_come_first() -> None:
    lengths = [LENGTHS[row] for row in torch.cat(sorted_batches(LENGTHS, 16)).tolist()]
    assert lengths == sorted(LENGTHS, reverse=True)
