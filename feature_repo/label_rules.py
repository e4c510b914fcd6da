"""What every corpus's labels mean in the seven classes: the rows of the label bridge, as data.

Labels go by name, never by number alone: published feature sets of one corpus disagree about numbers. Where the
corpus itself writes a code, the code is translated to the name first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

Emotion = str | None  # None: the seven classes have no place for the label


@dataclass(frozen=True)
class Policy:
    """A choice that the papers leave to the user: its options, and the emotion that each one gives.

    Attributes:
        choices: option to emotion, None where the option leaves the utterance out.
        default: the option taken where none is named.
        numeric: the policy is a number from 0 to 1 instead, and ``choices`` is empty.
        help: one line for the command line.
    """

    choices: Mapping[str, Emotion]
    default: str
    numeric: bool = False
    help: str = ""


@dataclass(frozen=True)
class Rule:
    """One corpus's row of the label bridge.

    Attributes:
        labels: label name in lower case to emotion, None where it is dropped.
        codes: the corpus's own codes to label names.
        policies: by label name (or ``intensity``): overrides ``labels``.
        several: an utterance may carry several labels, joined by commas.
    """

    labels: Mapping[str, Emotion]
    codes: Mapping[str, str] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    several: bool = False


def _same(*names: str) -> dict[str, Emotion]:
    return {name: name for name in names}


def _to(emotion: Emotion, *names: str) -> dict[str, Emotion]:
    return dict.fromkeys(names, emotion)


def _choice(label: str, emotion: str) -> dict[str, Policy]:
    """The policy of a label that is dropped unless the user gives it a class."""
    help_line = f"what becomes of {label!r}: left out, or counted as {emotion}"
    return {label: Policy({"drop": None, emotion: emotion}, "drop", help=help_line)}


_SEVEN = _same("neutral", "surprise", "fear", "sadness", "joy", "disgust", "anger")
_ADJECTIVES: dict[str, Emotion] = {
    "neutral": "neutral",
    "surprised": "surprise",
    "fearful": "fear",
    "sad": "sadness",
    "happy": "joy",
    "disgusted": "disgust",
    "angry": "anger",
}
_NOUNS = _SEVEN | _to("joy", "happy", "happiness") | _to("sadness", "sad") | _to("anger", "angry")

# RAF-DB's eleven compound classes; the basic set that the papers use does not hold them.
_RAFDB_COMPOUND = (
    *(
        "happily surprised",
        "happily disgusted",
        "sadly fearful",
        "sadly angry",
        "sadly surprised",
        "sadly disgusted",
    ),
    *(
        "fearfully angry",
        "fearfully surprised",
        "angrily surprised",
        "angrily disgusted",
        "disgustedly surprised",
    ),
)

# The groups of GoEmotions' ekman_mapping.json; its file lacks neutral, which is the seventh.
_GOEMOTIONS = (
    _to("anger", "anger", "annoyance", "disapproval")
    | _to("disgust", "disgust")
    | _to("fear", "fear", "nervousness")
    | _to(
        "joy",
        "joy",
        "amusement",
        "approval",
        "excitement",
        "gratitude",
        "love",
        "optimism",
        "relief",
        "pride",
    )
    | _to("joy", "admiration", "desire", "caring")
    | _to("sadness", "sadness", "disappointment", "embarrassment", "grief", "remorse")
    | _to("surprise", "surprise", "realization", "confusion", "curiosity")
    | _to("neutral", "neutral")
)

# No paper states the intensity from which a tweet counts: half of the scale is our assumption.
_INTENSITY = Policy({}, "0.5", numeric=True, help="EI-reg: smallest intensity that counts, from 0 to 1")

RULES: dict[str, Rule] = {
    "meld": Rule(_SEVEN),
    "cremad": Rule(
        _NOUNS,
        {"ang": "anger", "dis": "disgust", "fea": "fear", "hap": "happy", "neu": "neutral", "sad": "sadness"},
    ),
    "ravdess": Rule(
        _ADJECTIVES | {"calm": "neutral"} | _same("disgust"),
        {
            **{"01": "neutral", "02": "calm", "03": "happy", "04": "sad", "05": "angry", "06": "fearful"},
            **{"07": "disgust", "08": "surprised"},
        },
    ),
    "esd": Rule(
        {"neutral": "neutral", "angry": "anger", "happy": "joy", "sad": "sadness", "surprise": "surprise"},
        # How the Mandarin speakers' transcripts spell them.
        {"中立": "neutral", "生气": "angry", "快乐": "happy", "伤心": "sad", "惊喜": "surprise"},
    ),
    "mead": Rule(_ADJECTIVES | _NOUNS | _to(None, "contempt"), policies=_choice("contempt", "disgust")),
    "emovdb": Rule(
        {"amused": "joy", "angry": "anger", "disgusted": "disgust", "neutral": "neutral", "sleepy": None},
        {"amusement": "amused", "anger": "angry", "disgust": "disgusted", "sleepiness": "sleepy"},
        _choice("sleepy", "neutral"),
    ),
    "iemocap": Rule(
        {
            **{
                "ang": "anger",
                "hap": "joy",
                "exc": "joy",
                "sad": "sadness",
                "neu": "neutral",
                "fru": "anger",
            },
            **{"fea": "fear", "sur": "surprise", "dis": "disgust", "oth": None, "xxx": None},
        },
        {
            **{
                "anger": "ang",
                "happiness": "hap",
                "excited": "exc",
                "sadness": "sad",
                "neutral state": "neu",
            },
            **{"neutral": "neu", "frustration": "fru", "fear": "fea", "surprise": "sur", "disgust": "dis"},
            "other": "oth",
        },
    ),
    "savee": Rule(
        _NOUNS,
        {
            **{"a": "anger", "d": "disgust", "f": "fear", "h": "happiness", "n": "neutral", "sa": "sadness"},
            "su": "surprise",
        },
    ),
    "tess": Rule(_NOUNS | _to("surprise", "pleasant surprise"), {"ps": "pleasant surprise"}),
    "ckplus": Rule(
        _NOUNS | _to(None, "contempt"),
        {
            **{"0": "neutral", "1": "anger", "2": "contempt", "3": "disgust", "4": "fear", "5": "happy"},
            **{"6": "sadness", "7": "surprise"},
        },
        _choice("contempt", "disgust"),
    ),
    "rafdb": Rule(
        _NOUNS | _to(None, *_RAFDB_COMPOUND),
        {
            **{"1": "surprise", "2": "fear", "3": "disgust", "4": "happiness", "5": "sadness", "6": "anger"},
            "7": "neutral",
        },
    ),
    "fer2013": Rule(
        _NOUNS,
        {
            **{"0": "anger", "1": "disgust", "2": "fear", "3": "happy", "4": "sadness", "5": "surprise"},
            "6": "neutral",
        },
    ),
    "jaffe": Rule(
        _NOUNS,
        {
            **{
                "an": "anger",
                "di": "disgust",
                "fe": "fear",
                "ha": "happiness",
                "ne": "neutral",
                "sa": "sadness",
            },
            "su": "surprise",
        },
    ),
    "goemotions": Rule(_GOEMOTIONS, several=True),
    "isear": Rule(
        _same("joy", "fear", "anger", "sadness", "disgust") | _to(None, "shame", "guilt"),
        {"1": "joy", "2": "fear", "3": "anger", "4": "sadness", "5": "disgust", "6": "shame", "7": "guilt"},
    ),
    "carer": Rule(
        _same("sadness", "joy", "anger", "fear", "surprise") | _to("joy", "love"),
        {"0": "sadness", "1": "joy", "2": "love", "3": "anger", "4": "fear", "5": "surprise"},
    ),
    "crowdflower": Rule(
        _to("joy", "enthusiasm", "fun", "happiness", "relief", "love")
        | _to("anger", "hate", "anger")
        | _same("sadness", "surprise", "neutral")
        | _to(None, "worry", "boredom", "empty"),
        policies=_choice("worry", "fear"),
    ),
    "semeval": Rule(
        _same("anger", "disgust", "fear", "joy", "sadness", "surprise")
        | _to(None, "anticipation", "love", "optimism", "pessimism", "trust"),
        policies={"intensity": _INTENSITY},
        several=True,
    ),
}
