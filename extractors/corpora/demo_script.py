"""What is said in the demonstration corpus: speakers, dialogues and lines that carry their emotion in words."""

from dataclasses import dataclass

import numpy as np

from feature_repo.labels import EMOTIONS

SPEAKERS = ("Ada", "Bruno", "Clara", "Dario", "Elif", "Felix")
# Lines of people whose name nobody says: two women, each in a dialogue of her own.
_WOMEN = {
    "train/dia3_utt1": "Gina",
    "train/dia3_utt4": "Gina",
    "train/dia6_utt2": "Hana",
    "train/dia6_utt6": "Hana",
}
# Lines that several people say at once.
COMPOSITES = {"train/dia1_utt5": "All", "train/dia9_utt2": "Elif and Bruno", "dev/dia2_utt1": "All"}
# Utterances per dialogue of each split: 16 dialogues, 120 utterances.
DIALOGUES = {"train": (8,) * 10, "dev": (7, 7, 6), "test": (7, 7, 6)}
# Out of 20 utterances; neutral leads as in real conversations, and every class is in every split.
_SHARES = {"neutral": 4, "joy": 3, "surprise": 3, "sadness": 3, "anger": 3, "fear": 2, "disgust": 2}
_SENTIMENT = {"neutral": "neutral", "joy": "positive", "surprise": "positive"}

_OPENINGS: dict[str, tuple[str, ...]] = {
    "neutral": ("The meeting is at", "I parked the car near", "We usually take the bus to", "She works at"),
    "joy": (
        "I love",
        "This is wonderful, I am so happy about",
        "Yes! Great news about",
        "I can't stop smiling about",
    ),
    "surprise": (
        "Oh my God, what happened to",
        "Wait, really? I never expected",
        "Wow! Who told you about",
        "No way!",
    ),
    "sadness": ("I miss", "It breaks my heart to lose", "I cried all night over", "I am so sorry about"),
    "anger": ("Stop it! I am sick of", "How dare you touch", "I am furious about", "Shut up about"),
    "fear": (
        "I am scared of",
        "Please don't leave me alone with",
        "Something terrible will happen to",
        "Run from",
    ),
    "disgust": ("Ew, that is gross,", "It smells rotten in", "I feel sick when I look at", "How disgusting,"),
}
_THINGS = (
    *(
        "the old house",
        "my sister",
        "the station",
        "your cooking",
        "the new office",
        "that letter",
        "the dog",
    ),
    *("our holiday", "the neighbours", "the kitchen", "his speech", "the party"),
)
_ENDINGS: dict[str, tuple[str, ...]] = {
    "neutral": ("as always.", "this afternoon.", "I think.", "on Tuesday."),
    "joy": ("hooray!", "it is perfect.", "thank you!", "what a lovely day."),
    "surprise": ("unbelievable!", "are you serious?", "just like that?", "I had no idea!"),
    "sadness": ("and now it is gone.", "I feel so lonely.", "nothing helps.", "I am heartbroken."),
    "anger": ("get out!", "I hate it!", "that is enough!", "you liar!"),
    "fear": ("I am trembling.", "did you hear that noise?", "it is so dark.", "help me."),
    "disgust": ("yuck.", "take it away.", "how revolting.", "it makes me want to throw up."),
}


@dataclass(frozen=True)
class Line:
    """One utterance of the demonstration corpus.

    Attributes:
        split: train, dev or test.
        dialogue: its number within the split.
        turn: its number within the dialogue.
        person: who is heard and seen.
        speaker: what the annotation calls them; for most the person's name.
        emotion: one of the seven.
        text: what is said.
    """

    split: str
    dialogue: int
    turn: int
    person: str
    speaker: str
    emotion: str
    text: str

    @property
    def key(self) -> str:
        """The utterance's id without the corpus's name, such as ``train/dia0_utt0``."""
        return f"{self.split}/dia{self.dialogue}_utt{self.turn}"

    @property
    def sentiment(self) -> str:
        """The sign of the emotion, as MELD's third label."""
        return _SENTIMENT.get(self.emotion, "negative")


def script(seed: int) -> list[Line]:
    """The corpus's 120 lines, the same for the same seed; every split has all seven emotions."""
    rng = np.random.default_rng(seed)
    lines = []
    for split, lengths in DIALOGUES.items():
        emotions = [name for name in EMOTIONS for _ in range(_SHARES[name] * sum(lengths) // 20)]
        rng.shuffle(emotions)
        for dialogue, length in enumerate(lengths):
            present = rng.permutation(len(SPEAKERS))[:3]
            for turn in range(length):
                emotion = emotions.pop()
                name = SPEAKERS[present[turn % 2 if turn % 5 else 2]]
                key = f"{split}/dia{dialogue}_utt{turn}"
                person = _WOMEN.get(key, name)
                speaker = COMPOSITES.get(key, "Woman" if key in _WOMEN else name)
                lines.append(Line(split, dialogue, turn, person, speaker, emotion, sentence(emotion, rng)))
    return lines


def sentence(emotion: str, rng: np.random.Generator) -> str:
    """A sentence that carries one of the seven emotions in its words."""
    parts = (_OPENINGS[emotion], _THINGS, _ENDINGS[emotion])
    opening, thing, ending = (str(rng.choice(part)) for part in parts)
    return f"{opening} {thing}, {ending}"
