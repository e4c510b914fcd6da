"""The label bridge row by row, written out by hand from papers/003 section 1.3 and the corpora's own manuals."""

import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.label_bridge import bridge, bridge_labels, policies_of
from feature_repo.label_rules import RULES
from feature_repo.labels import EMOTIONS

# corpus -> emotion -> the labels (and codes) that mean it; "-" is dropped at default policies
TABLE: dict[str, dict[str, str]] = {
    "meld": {name: name for name in EMOTIONS},
    "cremad": {
        "joy": "happy HAP hap",
        "anger": "ANG anger",
        "disgust": "DIS disgust",
        "fear": "FEA fear",
        "neutral": "NEU neutral",
        "sadness": "SAD sad",
    },
    "ravdess": {
        "neutral": "01 neutral 02 calm",
        "joy": "03 happy",
        "sadness": "04 sad",
        "anger": "05 angry",
        "fear": "06 fearful",
        "disgust": "07 disgust",
        "surprise": "08 surprised",
    },
    "esd": {
        "anger": "Angry 生气",
        "joy": "Happy 快乐",
        "sadness": "Sad 伤心",
        "neutral": "Neutral 中立",
        "surprise": "Surprise 惊喜",
    },
    "mead": {
        "joy": "happy",
        "anger": "angry",
        "disgust": "disgusted",
        "fear": "fear",
        "neutral": "neutral",
        "sadness": "sad",
        "surprise": "surprised",
        "-": "contempt",
    },
    "emovdb": {
        "joy": "Amused",
        "anger": "Angry",
        "disgust": "Disgusted",
        "neutral": "Neutral",
        "-": "Sleepy",
    },
    "iemocap": {
        "joy": "hap exc",
        "anger": "ang fru",
        "sadness": "sad",
        "neutral": "neu",
        "fear": "fea",
        "surprise": "sur",
        "disgust": "dis",
        "-": "oth xxx",
    },
    "savee": {
        "anger": "a",
        "disgust": "d",
        "fear": "f",
        "joy": "h",
        "neutral": "n",
        "sadness": "sa",
        "surprise": "su",
    },
    "tess": {
        "anger": "angry",
        "disgust": "disgust",
        "fear": "fear",
        "joy": "happy",
        "neutral": "neutral",
        "surprise": "ps",
        "sadness": "sad",
    },
    "ckplus": {
        "neutral": "0",
        "anger": "1 anger",
        "-": "2 contempt",
        "disgust": "3 disgust",
        "fear": "4 fear",
        "joy": "5 happy",
        "sadness": "6 sadness",
        "surprise": "7 surprise",
    },
    "rafdb": {
        "surprise": "1 Surprise",
        "fear": "2 Fear",
        "disgust": "3 Disgust",
        "joy": "4 Happiness",
        "sadness": "5 Sadness",
        "anger": "6 Anger",
        "neutral": "7 Neutral",
    },
    "fer2013": {
        "anger": "0 Angry",
        "disgust": "1 Disgust",
        "fear": "2 Fear",
        "joy": "3 Happy",
        "sadness": "4 Sad",
        "surprise": "5 Surprise",
        "neutral": "6 Neutral",
    },
    "jaffe": {
        "anger": "AN",
        "disgust": "DI",
        "fear": "FE",
        "joy": "HA",
        "neutral": "NE",
        "sadness": "SA",
        "surprise": "SU",
    },
    "goemotions": {
        "anger": "anger annoyance disapproval anger,annoyance",
        "disgust": "disgust",
        "fear": "fear nervousness",
        "joy": "joy amusement approval excitement gratitude love optimism relief pride admiration desire caring",
        "sadness": "sadness disappointment embarrassment grief remorse",
        "surprise": "surprise realization confusion curiosity",
        "neutral": "neutral",
        "-": "anger,joy neutral,joy",
    },
    "isear": {
        "joy": "1 joy",
        "fear": "2 fear",
        "anger": "3 anger",
        "sadness": "4 sadness",
        "disgust": "5 disgust",
        "-": "6 shame 7 guilt",
    },
    "carer": {
        "sadness": "0 sadness",
        "joy": "1 joy 2 love",
        "anger": "3 anger",
        "fear": "4 fear",
        "surprise": "5 surprise",
    },
    "crowdflower": {
        "joy": "enthusiasm fun happiness relief love",
        "anger": "hate anger",
        "sadness": "sadness",
        "surprise": "surprise",
        "neutral": "neutral",
        "-": "worry boredom empty",
    },
    "semeval": {
        "anger": "anger=0.5 anger anger,pessimism",
        "fear": "fear=0.729",
        "joy": "joy=1.0 joy,love,optimism",
        "sadness": "sadness=0.9",
        "disgust": "disgust",
        "surprise": "surprise,anticipation",
        "-": "joy=0.499 anger,disgust love trust",
    },
}
CASES = [
    (corpus, label, None if emotion == "-" else emotion)
    for corpus, by_emotion in TABLE.items()
    for emotion, labels in by_emotion.items()
    for label in labels.split()
]


def test_every_corpus_of_the_table_has_a_rule() -> None:
    assert set(RULES) == set(TABLE)
    assert {emotion for rule in RULES.values() for emotion in rule.labels.values()} == {*EMOTIONS, None}


@pytest.mark.parametrize(("corpus", "label", "emotion"), CASES)
def test_the_table(corpus: str, label: str, emotion: str | None) -> None:
    found, note = bridge(corpus, label)
    assert found == emotion
    if emotion is None:
        assert note
        assert "drop" in note or "policy" in note


# Other spellings of the same emotions in copies of the corpora, whatever the corpus.
SPELLINGS = {name: name for name in EMOTIONS} | {
    "happy": "joy",
    "happiness": "joy",
    "sad": "sadness",
    "angry": "anger",
    "disgusted": "disgust",
    "fearful": "fear",
    "pleasant surprise": "surprise",
    "amusement": "joy",
    "sleepiness": None,
    "neutral state": "neutral",
    "excited": "joy",
    "frustration": "anger",
    "other": None,
}
# What the table leaves out by name: RAF-DB's compounds, and what SemEval has beyond the seven classes.
LEFT_OUT = {
    "rafdb": {
        *("happily surprised", "happily disgusted", "sadly fearful", "sadly angry", "sadly surprised"),
        *("sadly disgusted", "fearfully angry", "fearfully surprised", "angrily surprised"),
        *("angrily disgusted", "disgustedly surprised"),
    },
    "semeval": {"anticipation", "optimism", "pessimism"},
}


@pytest.mark.parametrize("corpus", sorted(RULES))
def test_no_label_of_a_rule_is_beyond_the_table(corpus: str) -> None:
    written = {label.lower() for labels in TABLE[corpus].values() for label in labels.split()}
    for label in {*RULES[corpus].labels, *RULES[corpus].codes} - written - LEFT_OUT.get(corpus, set()):
        assert bridge(corpus, label)[0] == SPELLINGS[label], label
    for label in LEFT_OUT.get(corpus, set()):
        assert bridge(corpus, label)[0] is None


@pytest.mark.parametrize("corpus", ["cremad", "emovdb", "esd", "iemocap", "mead", "ravdess", "savee", "tess"])
def test_acted_corpora_lose_nothing_but_what_a_policy_or_the_raters_leave_open(corpus: str) -> None:
    without = {label for label in RULES[corpus].labels if bridge(corpus, label)[0] is None}
    assert without == {"mead": {"contempt"}, "emovdb": {"sleepy"}, "iemocap": {"oth", "xxx"}}.get(
        corpus, set()
    )


def test_goemotions_groups_hold_all_28_labels() -> None:
    named = [label for labels in TABLE["goemotions"].values() for label in labels.split() if "," not in label]
    assert len(named) == len(set(named)) == 28
    assert set(RULES["goemotions"].labels) == set(named)


@pytest.mark.parametrize("label", ["Happily Surprised", "Sadly Angry", "Disgustedly Surprised"])
def test_compound_rafdb_labels_are_left_out(label: str) -> None:
    assert bridge("rafdb", label) == (None, f"{label.lower()}: no place among the seven classes, dropped")


@pytest.mark.parametrize(
    ("corpus", "label", "policy", "choice", "emotion"),
    [
        ("mead", "contempt", "contempt", "disgust", "disgust"),
        ("mead", "contempt", "contempt", "drop", None),
        ("ckplus", "2", "contempt", "disgust", "disgust"),
        ("ckplus", "2", "contempt", "drop", None),
        ("emovdb", "Sleepy", "sleepy", "neutral", "neutral"),
        ("emovdb", "Sleepy", "sleepy", "drop", None),
        ("emovdb", "sleepiness", "sleepy", "neutral", "neutral"),
        ("crowdflower", "worry", "worry", "fear", "fear"),
        ("crowdflower", "worry", "worry", "drop", None),
    ],
)
def test_policies(corpus: str, label: str, policy: str, choice: str, emotion: str | None) -> None:
    assert bridge(corpus, label, {policy: choice}) == (emotion, f"policy {policy}={choice}")


def test_a_policy_moves_no_other_label() -> None:
    assert bridge("crowdflower", "hate", {"worry": "fear"}) == bridge("crowdflower", "hate")


def test_semeval_threshold_is_a_policy_and_includes_itself() -> None:
    assert bridge("semeval", "fear=0.30", {"intensity": "0.3"})[0] == "fear"
    assert bridge("semeval", "fear=0.29", {"intensity": "0.3"})[0] is None
    assert "intensity=0.3" in (bridge("semeval", "fear=0.29", {"intensity": "0.3"})[1] or "")
    for wrong in ("high", "nan", "1.1"):
        with pytest.raises(BadInputError, match="0 to 1"):
            bridge("semeval", "fear=0.5", {"intensity": wrong})
        with pytest.raises(BadInputError, match="0 to 1"):
            bridge("semeval", f"fear={wrong}")


def test_notes_say_what_happened() -> None:
    assert bridge("meld", "joy") == ("joy", None)
    assert bridge("ravdess", "calm") == ("neutral", "calm to neutral")
    assert bridge("iemocap", "fru") == ("anger", "fru to anger")
    assert bridge("goemotions", "anger,joy") == (None, "several groups (anger, joy), dropped")
    assert bridge("goemotions", "joy,love") == ("joy", "joy, love to joy")
    assert bridge("meld", None) == bridge("meld", " ") == (None, "unlabelled")
    assert bridge("semeval", "") == (None, "unlabelled")


def test_unknown_names_list_what_is_allowed() -> None:
    with pytest.raises(UnknownNameError, match="crowdflower"):
        bridge("crowdflour", "worry")
    with pytest.raises(UnknownNameError, match="surprise"):
        bridge("meld", "happy")
    with pytest.raises(UnknownNameError, match="allowed: worry"):
        bridge("crowdflower", "worry", {"contempt": "drop"})
    with pytest.raises(UnknownNameError, match="drop, fear"):
        bridge("crowdflower", "joyless", {"worry": "sadness"})
    with pytest.raises(UnknownNameError, match="remorse"):
        bridge("goemotions", "joy,glee")


def test_many_labels_keep_their_order_and_tell_the_policies_used() -> None:
    bridged = bridge_labels("crowdflower", ["worry", "fun", None, "worry", "sadness"], {"worry": "fear"})
    assert bridged.emotion.to_list() == ["fear", "joy", None, "fear", "sadness"]
    assert bridged.label_note.to_list() == [
        *("policy worry=fear", "fun to joy", "unlabelled", "policy worry=fear", None)
    ]
    assert bridged.used == {"worry": "fear"}
    assert bridge_labels("crowdflower", []).emotion.to_list() == []
    assert bridge_labels("crowdflower", []).used == {"worry": "drop"}


def test_every_policy_has_its_default_among_its_choices() -> None:
    seen = 0
    for corpus in RULES:
        for name, policy in policies_of(corpus).items():
            seen += 1
            assert policy.numeric or policy.default in policy.choices, (corpus, name)
            assert policy.help
    assert seen == 5
