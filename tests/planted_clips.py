"""The planted corpus: real faces, made-up speech, MELD's layout, each fault of papers/000 III-D at known places."""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from extractors.corpora.demo_voice import MANNERS, RATE, VOICES, Samples, speak
from feature_repo.labels import EMOTIONS
from tests.planted_media import Shot, Sounding, channels, pictures, write_mp4

CORPUS = "meld"
# Who is in which sample clip, and from when to when, looked at frame by frame. Leo's three clips and the still are one
# man; everybody else is in one clip. Hal is the singer, without the audience.
PEOPLE: dict[str, tuple[tuple[Shot, float], ...]] = {
    "Leo": (
        (Shot("single_face.mp4", 0.0), 2.3),
        (Shot("face_noface.mov", 0.0), 2.3),
        (Shot("noface_face.mov", 4.0), 6.2),
    ),
    "Ana": ((Shot("WDA_AlexandriaOcasioCortez_000.mp4", 0.0), 8.0),),
    "Kat": ((Shot("WDA_KatieHill_000.mp4", 0.0), 8.0),),
    "Wanda": ((Shot("WolfgangLanger_Pexels.mp4", 0.0), 10.0),),
    "Dan": ((Shot("d0.mp4", 0.0), 3.1),),
    "Dex": ((Shot("d12.mp4", 0.0), 7.3),),
    "Erik": ((Shot("d18.mp4", 0.0), 7.2),),
    "Finn": ((Shot("d19.mp4", 0.0), 8.3),),
    "Gil": ((Shot("d20.mp4", 0.4), 7.0),),
    "Hal": ((Shot("short_hamilton_clip.mp4", 3.7, (140, 0, 340, 270)), 7.8),),
}
NOBODY = (Shot("no_face.mp4", 0.2), Shot("face_noface.mov", 2.9), Shot("noface_face.mov", 0.4))
# Two people of the photograph, whom nobody else is called after: the left and right one in front.
WOMEN = (Shot("multi_face.jpg", 0.0, (262, 190, 174, 220)), Shot("multi_face.jpg", 0.0, (520, 260, 160, 220)))
STRANGERS = (Shot("multi_face.jpg", 0.0), Shot("short_hamilton_clip.mp4", 8.3))
# The clip shows the second under the first one's name. Leo and Dan look most alike, then Kat and Dan, Dex and Leo.
MISTAKEN = (
    *(("Leo", "Dan"), ("Dan", "Leo"), ("Ana", "Kat"), ("Kat", "Dan"), ("Wanda", "Ana")),
    *(("Dex", "Leo"), ("Erik", "Finn"), ("Finn", "Erik"), ("Gil", "Hal"), ("Hal", "Gil")),
)
COMPOSITE = ("Leo and Ana", "Kat/Erik", "All", "Both", "Ana, Kat and Finn", "Everyone")
# What was said; a recogniser hears it nearly so.
SAID = (
    "I told you the train leaves at seven.",
    "Where did you put the blue umbrella?",
    "She never wanted to move to the city.",
    "That was the best soup I have ever had!",
    "Please don't tell my brother about the car.",
    "You forgot the keys again, didn't you?",
    "We could paint the kitchen yellow.",
    "I am so sorry about your grandmother.",
    "The doctor says I should sleep more.",
    "Stop shouting, the neighbours can hear us!",
    "He plays the violin every Sunday morning.",
    "Did anybody feed the cat today?",
)
# Said, and heard: the clip was cut in another place. The first pair is the paper's own (fig. 3D).
MISHEARD = (
    ("Yeah!", "Yeah, it really has been great, too."),
    ("Okay.", "So then the waiter brought us three plates of frozen lobster."),
    ("I told you the train leaves at seven.", "Hm!"),
    ("We could paint the kitchen yellow.", "Uh, no."),
    ("No way!", "Grandfather bought potatoes at the market in Bremen yesterday."),
    ("Did anybody feed the cat today?", "Oh."),
    ("Hi.", "The quarterly numbers will be published next Thursday afternoon."),
    ("He plays the violin every Sunday morning.", "Bye!"),
    # Another line of the dialogue, as long as this one: only the meaning tells.
    ("She never wanted to move to the city.", "Please don't tell my brother about the car."),
    ("That was the best soup I have ever had!", "Stop shouting, the neighbours can hear us!"),
    # Much more than was annotated, about the same matter: only the length tells.
    ("Stop it!", "Stop it, I said stop it, you are going to break the window!"),
    ("I'm scared.", "I'm scared of spiders, and there is one sitting on your shoulder."),
)


@dataclass(frozen=True)
class Planted:
    """One utterance and what is wrong with it.

    Attributes:
        speaker: the name in the annotation.
        shots: what the clip shows, side by side.
        fault: what was planted; empty for a faultless utterance.
        reason: what must remove it first, a code of ``verdict.REASONS`` (``alignment`` for either of its two); empty if
            it must pass.
        seconds: how long the clip is.
        sounding: how the speech is recorded.
        said: the annotated words.
        heard: the recogniser's words.
        broken: whether the file is cut off.
        key: split and MELD's name of the clip, given last.
    """

    speaker: str
    shots: tuple[Shot, ...]
    fault: str = ""
    reason: str = ""
    seconds: float = 2.0
    sounding: Sounding = "mono"
    said: str = ""
    heard: str | None = None
    broken: bool = False
    key: tuple[str, int, int] = ("train", 0, 0)

    @property
    def utterance_id(self) -> str:
        """Its key in the manifest."""
        split, dialogue, turn = self.key
        return f"{CORPUS}/{split}/dia{dialogue}_utt{turn}"


@dataclass(frozen=True)
class PlantedCorpus:
    """Where the planted corpus lies.

    Attributes:
        folder: MELD's annotation files and clips.
        transcripts: CSV for the extractor ``giventranscript``.
        utterances: what was planted.
    """

    folder: Path
    transcripts: Path
    utterances: tuple[Planted, ...]

    @property
    def truth(self) -> pl.DataFrame:
        """``utterance_id, speaker, fault, reason, sounding, heard``; reason is null where the utterance must pass."""
        return pl.DataFrame(
            [
                {
                    "utterance_id": one.utterance_id,
                    "speaker": one.speaker,
                    "fault": one.fault or "none",
                    "reason": one.reason or None,
                    "sounding": one.sounding,
                    "heard": one.heard,
                }
                for one in self.utterances
            ],
            infer_schema_length=None,
        ).sort("utterance_id")


def make_planted_corpus(samples: Path, folder: Path) -> PlantedCorpus:
    """Write the planted corpus.

    Args:
        samples: the folder of real samples, of which ``data/clips`` is read.
        folder: made if absent.
    """
    utterances = _placed(_plan())
    clips = {
        "train": folder / "train_splits",
        "dev": folder / "dev_splits_complete",
        "test": folder / "output_repeated_splits_test",
    }
    for split, place in clips.items():
        place.mkdir(parents=True, exist_ok=True)
        _write_annotations(
            folder / f"{split}_sent_emo.csv", [one for one in utterances if one.key[0] == split]
        )
    for number, one in enumerate(utterances):
        split, dialogue, turn = one.key
        path = clips[split] / f"dia{dialogue}_utt{turn}.mp4"
        rng = np.random.default_rng(number)
        track = channels(one.sounding, _speech(one, number, rng), rng)
        write_mp4(path, pictures(samples / "data" / "clips", one.shots, one.seconds), track)
        if one.broken:
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 3])
    transcripts = folder / "transcripts.csv"
    rows = [{"utterance_id": one.utterance_id, "transcript": one.heard or ""} for one in utterances]
    pl.DataFrame(rows).write_csv(transcripts, quote_style="non_numeric")
    (folder / "truth.json").write_text(
        json.dumps({one.utterance_id: [one.fault, one.reason] for one in utterances}, indent=1), "utf-8"
    )
    return PlantedCorpus(folder, transcripts, utterances)


def _shots(person: str, count: int, seconds: float) -> list[Shot]:
    """That many shots of a person, spread over what there is."""
    ranges = PEOPLE[person]
    shots = []
    for index in range(count):
        shot, last = ranges[index % len(ranges)]
        turns = -(-count // len(ranges))
        latest = max(last - seconds, shot.start_s)
        start = shot.start_s + (latest - shot.start_s) * (index // len(ranges)) / max(turns - 1, 1)
        shots.append(replace(shot, start_s=round(start, 2)))
    return shots


def _plan() -> Iterator[Planted]:
    yield from _faultless()
    yield from _faces()
    yield from _words_and_names()
    yield from _sounds()


def _faultless() -> Iterator[Planted]:
    """Four plain clips a person, and what must pass although it is not plain."""
    names = list(PEOPLE)
    for name in names:
        for index, shot in enumerate(_shots(name, 4, 2.0)):
            yield Planted(name, (shot,), seconds=(2.0, 1.25, 1.75, 2.0)[index])
    for index, name in enumerate(names):  # the speaker is on the left or the right of somebody else
        other = names[(index + 3) % len(names)]
        pair = (_shots(name, 3, 1.5)[1], _shots(other, 3, 1.5)[1])
        yield Planted(name, pair if index % 2 else pair[::-1], "several faces", seconds=1.5)
    # He leaves after the first of the two frames, or comes before the second.
    yield Planted("Leo", (Shot("face_noface.mov", 1.4),), "leaves")
    yield Planted("Leo", (Shot("noface_face.mov", 3.0),), "comes")
    # The one frame at 0.5 s is empty; he is there some tenths of a second before, or after.
    yield Planted("Leo", (Shot("face_noface.mov", 2.0),), "beside the frame", seconds=1.25)
    yield Planted("Leo", (Shot("noface_face.mov", 3.3),), "beside the frame", seconds=1.25)
    # Shorter than the first frame's time: the middle is looked at.
    yield Planted("Erik", (Shot("d18.mp4", 5.0),), "short", seconds=0.42, said="Why?", heard="Why?")
    yield Planted("Ana", _at("Ana", 5.0), "short", seconds=0.42, said="Sure.", heard="Sure.")
    yield Planted("Leo", (Shot("single_face.jpg", 0.0),), "other photograph")


def _at(person: str, start_s: float) -> tuple[Shot, ...]:
    return (replace(PEOPLE[person][0][0], start_s=start_s),)


def _faces() -> Iterator[Planted]:
    for index, name in enumerate(("Leo", "Leo", "Leo", "Ana", "Kat", "Wanda", "Erik", "Finn", "Gil", "Dex")):
        yield Planted(name, (NOBODY[index % 3],), "off screen", "no_face")
    for speaker, shown in MISTAKEN:
        yield Planted(speaker, (_shots(shown, 3, 2.0)[1],), "wrong person", "no_match")
    yield Planted("Ana", STRANGERS[:1], "wrong person", "no_match")
    yield Planted("Leo", STRANGERS[1:], "wrong person", "no_match", seconds=1.5)


def _words_and_names() -> Iterator[Planted]:
    names = list(PEOPLE)
    for index, (said, heard) in enumerate(MISHEARD):
        name = names[index % len(names)]
        shot = _shots(name, 2, 1.5)[0]
        yield Planted(name, (shot,), "misaligned", "alignment", 1.5, said=said, heard=heard)
    for index, name in enumerate(COMPOSITE):
        yield Planted(name, (_shots(names[index], 2, 1.5)[0],), "composite", "composite", 1.5)


def _sounds() -> Iterator[Planted]:
    names = list(PEOPLE)

    def plain(index: int) -> tuple[Shot, ...]:
        return (_shots(names[index % len(names)], 5, 1.75)[2],)

    six: tuple[Sounding, ...] = ("third of six", "third of noisy six")
    two: tuple[Sounding, ...] = ("first louder", "second louder")
    for index in range(1, 7):
        yield Planted(names[index], plain(index), "six channels", seconds=1.75, sounding=six[index % 2])
        yield Planted(
            names[index + 3], plain(index + 3), "two channels", seconds=1.75, sounding=two[index % 2]
        )
    for index in range(4):
        yield Planted(
            names[index + 1], plain(index + 1), "silent", "silent", 1.75, sounding="silent", heard=""
        )
        yield Planted(
            names[index + 5], plain(index + 5), "empty transcript", "empty_transcript", 1.75, heard=""
        )
    yield Planted("Kat", plain(2), "silent", "silent", 1.75, sounding="not the third", heard="")
    yield Planted("Finn", plain(7), "no track", "undecodable", 1.75, sounding="none", heard="")
    yield Planted("Gil", plain(8), "no track", "undecodable", 1.75, sounding="none", heard="")
    yield Planted("Dex", plain(5), "cut off", "undecodable", 1.75, heard="", broken=True)
    yield Planted("Erik", plain(6), "cut off", "undecodable", 1.75, heard="", broken=True)


def _placed(plan: Iterator[Planted]) -> tuple[Planted, ...]:
    """The utterances with words and places: dialogues of eight in an order that mixes speakers and faults.

    Two dialogues have a woman without a name, each another one: only the dialogue tells them apart.
    """
    rows = list(plan)
    order = np.random.default_rng(3).permutation(len(rows))
    dialogues = [[rows[place] for place in order[first : first + 8]] for first in range(0, len(rows), 8)]
    for number, shot in enumerate(WOMEN):
        dialogues[number] += [
            Planted("Woman", (shot,), "role name", seconds=seconds) for seconds in (1, 1.5, 2, 2)
        ]
    placed = []
    for dialogue, turns in enumerate(dialogues):
        split = ("train", "train", "train", "dev", "test")[dialogue % 5]
        for turn, row in enumerate(turns):
            said = row.said or SAID[len(placed) % len(SAID)]
            heard = _heard(said, len(placed)) if row.heard is None else row.heard
            placed.append(replace(row, said=said, heard=heard, key=(split, dialogue, turn)))
    return tuple(placed)


def _heard(said: str, number: int) -> str:
    """What a good recogniser makes of it: the same, without case and marks, or with one word lost."""
    if number % 3 == 0:
        return said
    plain = said.lower().rstrip(".!?")
    return plain if number % 3 == 1 else " ".join(plain.split()[1:])


def _speech(one: Planted, number: int, rng: np.random.Generator) -> Samples:
    """Made-up speech as long as the clip."""
    names = list(PEOPLE)
    voice = list(VOICES.values())[
        (names.index(one.speaker) if one.speaker in names else number) % len(VOICES)
    ]
    manner = MANNERS[_emotion(one)]
    sound = np.concatenate([speak(voice, manner, 6, rng) for _ in range(3)])
    return np.asarray(sound[: round(one.seconds * RATE)], np.float32)


def _emotion(one: Planted) -> str:
    _, dialogue, turn = one.key
    return EMOTIONS[(dialogue + turn) % len(EMOTIONS)]


def _write_annotations(path: Path, rows: list[Planted]) -> None:
    header = (
        "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime"
    )
    with path.open("w", encoding="utf-8", newline="") as sink:
        writer = csv.writer(sink)
        writer.writerow(header.split(","))
        for number, one in enumerate(rows):
            _, dialogue, turn = one.key
            times = ("00:00:01,000", "00:00:03,000")
            writer.writerow(
                (number + 1, one.said, one.speaker, _emotion(one), "neutral", dialogue, turn, 1, 1, *times)
            )
