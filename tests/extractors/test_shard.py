import pytest

from extractors.shard import Shard
from feature_repo.errors import BadInputError

IDS = [f"meld/train/dia{n // 10}_utt{n % 10}" for n in range(3000)]


def test_every_utterance_is_in_one_shard_and_shards_are_even():
    counts = [[Shard(index, 7).holds(each) for each in IDS].count(True) for index in range(1, 8)]
    assert sum(counts) == len(IDS)
    assert min(counts) > 350  # 3000 / 7 = 429, deviation 19


def test_the_shard_of_an_id_never_changes():
    # `printf a/b | b2sum -l 64` gives 0debd2558bca8fa0: 0 modulo 8 is the first of eight; the other ends in 4.
    assert Shard(1, 8).holds("a/b")
    assert Shard(5, 8).holds("meld/train/dia0_utt0")
    assert Shard.parse("2/8") == Shard(2, 8)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/4", "1/4/2", ""])
def test_other_texts_are_refused(text):
    with pytest.raises(BadInputError, match="i/n"):
        Shard.parse(text)
