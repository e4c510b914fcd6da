"""Shards of the utterances, for job arrays: ``--shard 2/8`` is the second of eight."""

import hashlib
from dataclasses import dataclass

from feature_repo.errors import BadInputError


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts of all utterances, by a hash of the id: the same on every machine and run.

    Attributes:
        index: 1 to ``count``.
        count: number of shards.
    """

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """The shard that a text such as ``2/8`` names.

        Raises:
            BadInputError: not two numbers, or an index outside 1 to count.
        """
        index, _, count = text.partition("/")
        if not (index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count)):
            raise BadInputError(f"shard {text!r}: must be i/n with i from 1 to n, such as 2/8")
        return cls(int(index), int(count))

    def holds(self, utterance_id: str) -> bool:
        """Whether the utterance belongs to this shard."""
        hashed = hashlib.blake2b(utterance_id.encode(), digest_size=8).digest()
        return int.from_bytes(hashed, "big") % self.count == self.index - 1
