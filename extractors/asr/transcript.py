"""What a transcript holds, whoever made it."""

from collections.abc import Mapping
from typing import Final

from feature_repo.recipe import ColumnType

EMPTY_TRANSCRIPT: Final = "empty transcript"  # the note of a sound without words

# text: what was said. language: ISO code. Then one entry a segment: seconds from the utterance's start, the mean log
# probability of its window's tokens, the probability that nobody speaks in its window, its words.
COLUMNS: Final[Mapping[str, ColumnType]] = {
    "text": "text",
    "language": "text",
    "segment_start": "floats",
    "segment_end": "floats",
    "segment_logprob": "floats",
    "segment_no_speech": "floats",
    "segment_text": "texts",
}
