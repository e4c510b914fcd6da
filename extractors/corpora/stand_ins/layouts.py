"""The layouts of the acted corpora, each a function from a size to a plan (CORPORA: acted corpora)."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from extractors.corpora.cremad import SENTENCES
from extractors.corpora.esd import EMOTIONS as ESD_EMOTIONS
from extractors.corpora.esd import PER_EMOTION
from extractors.corpora.ravdess import EMOTIONS as RAVDESS_EMOTIONS
from extractors.corpora.ravdess import STATEMENTS
from extractors.corpora.stand_ins.dialogues import ACTORS, iemocap
from extractors.corpora.stand_ins.sentences import english, mandarin
from extractors.corpora.stand_ins.take import Plan, Take
from feature_repo.label_bridge import bridge
from feature_repo.label_rules import RULES

# How much of a feeling is heard at an intensity that the corpus names.
_LEVELS = {"LO": 0.35, "MD": 0.6, "HI": 0.85, "1": 0.35, "2": 0.6, "3": 0.85, "01": 0.4, "02": 0.8}
_WORDS = (
    "back bar base bath bean beg bite boat bone book bought burn cab calm came cause chain chair chalk chat"
)
_TESS_WORDS = tuple(_WORDS.split())
_ESD_MANDARIN = {"Neutral": "中立", "Angry": "生气", "Happy": "快乐", "Sad": "伤心", "Surprise": "惊喜"}


@dataclass(frozen=True)
class Layout:
    """A corpus's layout.

    Attributes:
        speakers: the corpus's own names of speakers; a stand-in has the first of them.
        most: utterances of an emotion that a speaker can have at most.
        plan: speakers and utterances per emotion to a plan.
        options: what ``ingest`` must be told of it.
    """

    speakers: tuple[str, ...]
    most: int
    plan: Callable[[Sequence[str], int], Plan]
    options: str = ""


def _feeling(corpus: str, label: str) -> str:
    """The class of a label, or the label itself where a policy decides."""
    return label if label in ("calm", "contempt", "sleepy") else bridge(corpus, label)[0] or label


def _cremad(speakers: Sequence[str], count: int) -> Plan:
    # The first sentence comes in three intensities, the others in one that has no name; neutral has none at all.
    plain = [(code, "XX") for code in SENTENCES]
    graded = [("IEO", "MD"), ("IEO", "LO"), ("IEO", "HI"), *plain[1:]]
    takes: list[Take] = []
    votes: list[tuple[object, ...]] = []
    for speaker in speakers:
        for emotion, label in RULES["cremad"].codes.items():
            for code, level in (plain if emotion == "neu" else graded)[:count]:
                name = f"{speaker}_{code}_{emotion.upper()}_{level}"
                feeling, text = _feeling("cremad", label), SENTENCES[code]
                takes.append(
                    Take(f"AudioWAV/{name}.wav", speaker, feeling, text, strength=_LEVELS.get(level))
                )
                winner = emotion[0].upper()
                heard = f"{winner}:N" if level == "LO" else winner  # a tie, as weak emotions have
                votes.append((len(votes) + 1, name, heard, 50, winner, 50, winner, 50))
    header = (
        *("", "FileName", "VoiceVote", "VoiceLevel", "FaceVote", "FaceLevel"),
        *("MultiModalVote", "MultiModalLevel"),
    )
    return Plan(takes, {"processedResults/summaryTable.csv": _csv(header, votes)})


def _ravdess(speakers: Sequence[str], count: int) -> Plan:
    codes = [(level, said, again) for again in ("01", "02") for said in STATEMENTS for level in ("01", "02")]
    takes = []
    for speaker in speakers:
        for emotion, label in RAVDESS_EMOTIONS.items():
            usable = [code for code in codes if code[0] == "01" or label != "neutral"]
            for level, said, again in usable[:count]:
                path = f"Actor_{speaker}/03-01-{emotion}-{level}-{said}-{again}-{speaker}.wav"
                feeling = _feeling("ravdess", label)
                takes.append(Take(path, speaker, feeling, STATEMENTS[said], 48_000, _LEVELS[level]))
    return Plan(takes)


def _tess(speakers: Sequence[str], count: int) -> Plan:
    folders = {"ps": "pleasant_surprise"}
    takes = [
        Take(
            f"{speaker}_{folders.get(emotion, emotion)}/{speaker}_{word}_{emotion}.wav",
            speaker,
            _feeling("tess", emotion),
            f"Say the word {word}",
            24_414,
        )
        for speaker in speakers
        for emotion in ("angry", "disgust", "fear", "happy", "neutral", "ps", "sad")
        for word in _TESS_WORDS[:count]
    ]
    return Plan(takes)


def _savee(speakers: Sequence[str], count: int) -> Plan:
    takes = []
    rows = {}
    for number, text in enumerate(english(count), 1):
        for letters, label in RULES["savee"].codes.items():
            rows[f"{letters}{number:02}"] = text
            for speaker in speakers:
                path = f"AudioData/{speaker}/{letters}{number:02}.wav"
                takes.append(Take(path, speaker, _feeling("savee", label), text, 44_100))
    return Plan(takes, {"savee_sentences.csv": _csv(("sentence", "text"), sorted(rows.items()))})


def _esd(speakers: Sequence[str], count: int) -> Plan:
    takes, files = [], {}
    for index, speaker in enumerate(speakers):
        chinese = int(speaker) <= 10
        sentences = mandarin(count) if chinese else english(count)
        rows = []
        for block, emotion in enumerate(ESD_EMOTIONS):
            for number, text in enumerate(sentences, 1):
                name = f"{speaker}_{block * PER_EMOTION + number:06}"
                takes.append(Take(f"{speaker}/{emotion}/{name}.wav", speaker, _feeling("esd", emotion), text))
                rows.append(f"{name}\t{text}\t{_ESD_MANDARIN[emotion] if chinese else emotion}\r\n")
        # Encodings differ from speaker to speaker, as they do in the published tables.
        encodings = ("gb18030", "utf-16") if chinese else ("utf-8", "utf-16")
        files[f"{speaker}/{speaker}.txt"] = "".join(rows).encode(encodings[index // 2 % 2])
    return Plan(takes, files)


def _emovdb(speakers: Sequence[str], count: int) -> Plan:
    # File names have another word than folders have, for some manners.
    words = {"Angry": "anger", "Disgusted": "disgust", "Sleepy": "sleepiness"}
    sentences = english(count)
    takes = []
    for speaker in speakers:
        for manner in ("Amused", "Angry", "Disgusted", "Neutral", "Sleepy"):
            if speaker == "josh" and manner in words and manner != "Sleepy":
                continue
            for number, text in enumerate(sentences, 1):
                name = f"{words.get(manner, manner.lower())}_1-28_{number:04}.wav"
                feeling = _feeling("emovdb", manner.lower())
                rate = 44_100 if speaker == "bea" else 16_000
                takes.append(Take(f"{speaker}_{manner}/{name}", speaker, feeling, text, rate))
    # List B counts from 1 again and was not recorded.
    prompts = [f'( arctic_a{number:04} "{text}" )\n' for number, text in enumerate(sentences, 1)]
    prompts += [f'( arctic_b{number:04} "Not recorded, {number}." )\n' for number in range(1, count + 1)]
    return Plan(takes, {"cmuarctic.data": "".join(prompts).encode()})


def _mead(speakers: Sequence[str], count: int) -> Plan:
    emotions = ("angry", "contempt", "disgusted", "fear", "happy", "neutral", "sad", "surprised")
    sentences = english(len(emotions) * count)
    common = 3  # the first sentences are read in every emotion
    takes, rows = [], []
    for order, emotion in enumerate(emotions):
        own = sentences[order * count :]
        for number in range(1, count + 1):
            text = sentences[number - 1] if number <= common else own[number - 1]
            rows.append(("all" if number <= common else emotion, f"{number:03}", text))
            level = "1" if emotion == "neutral" else "312"[(number - 1) % 3]
            for speaker in speakers:
                path = f"{speaker}/audio/{emotion}/level_{level}/{number:03}.m4a"
                feeling = _feeling("mead", emotion)
                takes.append(Take(path, speaker, feeling, text, 48_000, _LEVELS[level]))
    table = _csv(("emotion", "number", "text"), sorted(set(rows)))
    return Plan(takes, {"mead_sentences.csv": table})


def _csv(header: Sequence[object], rows: Sequence[Sequence[object]]) -> bytes:
    sink = io.StringIO(newline="")
    csv.writer(sink).writerows([header, *rows])
    return sink.getvalue().encode()


def _in_turns(*groups: Sequence[str]) -> Iterator[str]:
    """One of each group after the other, so that few speakers are of every kind."""
    for names in zip(*groups, strict=True):
        yield from names


LAYOUTS: dict[str, Layout] = {
    "cremad": Layout(tuple(str(actor) for actor in range(1001, 1092)), 14, _cremad),
    "emovdb": Layout(("bea", "josh", "jenie", "sam"), 593, _emovdb),
    "esd": Layout(
        tuple(_in_turns([f"{n:04}" for n in range(1, 11)], [f"{n:04}" for n in range(11, 21)])),
        PER_EMOTION,
        _esd,
    ),
    "iemocap": Layout(ACTORS, 40, iemocap, options="--option media=audio"),
    "mead": Layout(
        tuple(_in_turns([f"M{n:03}" for n in range(3, 51, 2)], [f"W{n:03}" for n in range(9, 57, 2)])),
        30,
        _mead,
    ),
    "ravdess": Layout(tuple(f"{actor:02}" for actor in range(1, 25)), 8, _ravdess),
    "savee": Layout(("DC", "JE", "JK", "KL"), 15, _savee),
    "tess": Layout(("OAF", "YAF"), len(_TESS_WORDS), _tess),
}
