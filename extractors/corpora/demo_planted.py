"""What is wrong with the demonstration corpus by intent: where, and what must become of it."""

from dataclasses import dataclass

from extractors.corpora.demo_script import COMPOSITES

_OF_MEDIA = frozenset({"speaker", "speech", "level", "transcript", "faces"})


@dataclass(frozen=True)
class Kind:
    """One thing that can be wrong.

    Attributes:
        reason: the reason of ``feature_repo.verdict`` that removes such an utterance.
        fails: modalities whose extraction fails.
    """

    reason: str
    fails: frozenset[str] = frozenset()


KINDS = {
    "file missing": Kind("undecodable", _OF_MEDIA),
    "file truncated": Kind("undecodable", _OF_MEDIA),
    "file empty": Kind("undecodable", _OF_MEDIA),
    # It can be seen, but not heard.
    "no audio track": Kind("undecodable", _OF_MEDIA - {"faces"}),
    # That it is silent is a measure of its level, and an empty transcript; no voice is in it.
    "silence": Kind("silent", frozenset({"speaker", "speech"})),
    "several speakers": Kind("composite"),
    "nothing heard": Kind("empty_transcript"),
    "another line's words": Kind("cosine"),
    "words over and over": Kind("levenshtein"),
    "nobody in the picture": Kind("no_face"),
    "somebody else's face": Kind("no_match"),
}
# Utterance, without the corpus's name, to what is wrong with it.
PLANTED = {
    "train/dia2_utt3": "file truncated",
    "train/dia5_utt1": "file missing",
    "train/dia7_utt4": "silence",
    "train/dia8_utt0": "file empty",
    "test/dia1_utt2": "no audio track",
    **dict.fromkeys(COMPOSITES, "several speakers"),
    "train/dia4_utt1": "nothing heard",
    "test/dia0_utt4": "nothing heard",
    "train/dia2_utt5": "another line's words",
    "train/dia6_utt4": "another line's words",
    "dev/dia1_utt3": "another line's words",
    "train/dia8_utt1": "words over and over",
    "train/dia8_utt6": "nobody in the picture",
    "dev/dia0_utt1": "nobody in the picture",
    "train/dia2_utt2": "somebody else's face",
    "test/dia2_utt2": "somebody else's face",
}
# Six channels with the voice in the third alone, which is nothing wrong.
SIX_CHANNELS = "dev/dia0_utt6"
# This utterance's plain clip shows another scene; its re-cut is the right one, as for 132 clips of MELD's test folder.
RECUT = "test/dia0_utt3"


def faults() -> dict[str, frozenset[str]]:
    """Utterance to the modalities whose extraction must fail."""
    return {key: KINDS[kind].fails for key, kind in PLANTED.items() if KINDS[kind].fails}


def removals() -> dict[str, str]:
    """Utterance to the reason that must remove it."""
    return {key: KINDS[kind].reason for key, kind in PLANTED.items()}
