"""Planted against found: a demonstration that finds too much or too little says so."""

from pathlib import Path

import polars as pl
import pytest

from extractors.corpora.demo_planted import SIX_CHANNELS, faults, removals
from extractors.demo import VERDICT, Demo
from extractors.demo_report import compare, summary, what_is_stored
from feature_repo.fill import fill
from feature_repo.named_verdicts import NamedVerdict
from feature_repo.outcome import Features
from feature_repo.recipe import Recipe
from feature_repo.store import Store, init_store

LEVEL = Recipe(
    "level",
    "level",
    1,
    "media",
    "record",
    0,
    columns={"channels": "int", "channel": "int", "peak_db": "float"},
)
SPEAKER = Recipe("speaker", "resemblyzer", 1, "media", "pooled", 4)
FACES = Recipe("faces", "hog", 1, "media", "steps", 4)
TEXT = Recipe("text", "hashing", 1, "text", "pooled", 4)


@pytest.fixture
def demo(tmp_path: Path) -> Demo:
    """A demonstration whose six-channel clip was heard, and nothing else; what was found is told by the tests."""
    demo = Demo(tmp_path)
    store = init_store(str(demo.store), cache=str(tmp_path / "cache"))
    for recipe in (SPEAKER, FACES, TEXT):
        store.ensure_table(recipe)
    hear(store, 2)
    judge(store, removals())
    return demo


def hear(store: Store, channel: int) -> None:
    key = f"demo/{SIX_CHANNELS}"
    uri = f"/clips/{channel}.mp4"
    store.write_manifest("demo", pl.DataFrame({"utterance_id": [key], "split": ["dev"], "media_uri": [uri]}))
    columns = {"channels": 6, "channel": channel, "peak_db": -3.0}
    fill(store, [LEVEL], lambda missing: ((LEVEL.view, key, Features(None, columns=columns)) for _ in (0,)))


def judge(store: Store, reasons: dict[str, str]) -> None:
    rows = [(f"demo/{key}", False, reason) for key, reason in reasons.items()]
    frame = pl.DataFrame(
        [*rows, ("demo/train/dia0_utt0", True, None)], ("utterance_id", "passed", "reason"), orient="row"
    )
    store.verdicts.save(NamedVerdict(VERDICT, frame))


def told(*left_out: tuple[str, str]) -> list[dict[str, str]]:
    """The faults that must be found, but these (view, utterance)."""
    views = {"level": LEVEL.view, "speaker": SPEAKER.view, "faces": FACES.view}
    every = [
        (views[modality], key)
        for key, hindered in faults().items()
        for modality in sorted(hindered & set(views))
    ]
    return [
        {"view": view, "utterance_id": f"demo/{key}", "error": "Broken"}
        for view, key in every
        if (view, key) not in left_out
    ]


def test_all_as_planted(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare(demo, told())
    shown = capsys.readouterr().out
    assert "all 5 planted faults were found" in shown
    assert "all 18 planted utterances were removed" in shown


def test_a_broken_clip_spoils_what_it_must_and_no_more() -> None:
    found = faults()
    assert "faces" in found["train/dia5_utt1"]  # the file is missing
    assert found["train/dia7_utt4"] == {"speaker", "speech"}  # silence has a level, and a face
    assert "faces" not in found["test/dia1_utt2"]  # no audio track, but a picture


def test_a_fault_that_was_missed_and_one_too_many(demo: Demo) -> None:
    assert not compare(demo, told((FACES.view, "train/dia5_utt1")))
    for view, key in (
        (FACES.view, "test/dia1_utt2"),
        (LEVEL.view, "train/dia0_utt0"),
        (TEXT.view, "train/dia5_utt1"),
    ):
        extra = {"view": view, "utterance_id": f"demo/{key}", "error": "Broken"}
        assert not compare(demo, [*told(), extra])


@pytest.mark.parametrize(
    "changed",
    [
        {"train/dia8_utt1": None},  # kept
        {"train/dia8_utt1": "cosine"},  # for another reason
        {"train/dia0_utt1": "cosine"},  # nothing is wrong with it
    ],
)
def test_a_removal_too_few_too_many_or_for_another_reason(
    demo: Demo, changed: dict[str, str | None], capsys: pytest.CaptureFixture[str]
) -> None:
    store = demo_store(demo)
    judge(store, {key: reason for key, reason in {**removals(), **changed}.items() if reason})
    assert not compare(demo, told())
    assert "what was removed is not what is wrong by intent" in capsys.readouterr().err


def test_no_verdict_is_no_agreement(demo: Demo) -> None:
    demo_store(demo).verdicts.remove(VERDICT)
    assert not compare(demo, told())


def test_another_channel_is_told(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    hear(demo_store(demo), 0)
    assert not compare(demo, told())
    assert "the third was not heard" in capsys.readouterr().err


def test_a_second_run_is_known_by_what_lies_there(
    demo: Demo, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = {"faults": told(), "runs": [{"key": "abc"}]}
    monkeypatch.setattr(Demo, "ask", lambda self, *arguments: answers[arguments[0]])
    before = what_is_stored(demo)
    assert summary(demo, before)
    assert "0 computed" in (shown := capsys.readouterr().out)
    assert "1 runs, 0 new" in shown
    hear(demo_store(demo), 2)
    answers["runs"] = [{"key": "abc"}, {"key": "def"}]
    demo_store(demo).ensure_table(Recipe("speech", "mfcc", 1, "media", "pooled", 4))
    assert not summary(demo, before)  # the new table has none of the faults
    assert "rows computed" in (shown := capsys.readouterr().out)
    assert "2 runs, 1 new" in shown


def test_a_command_that_failed_spoils_it_all(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Demo, "ask", lambda self, *arguments: told() if arguments[0] == "faults" else [])
    before = what_is_stored(demo)
    assert summary(demo, before)
    demo.failed.append("affectstore status")
    assert not summary(demo, before)


def test_before_the_first_extraction_nothing_is_stored(tmp_path: Path) -> None:
    found = what_is_stored(Demo(tmp_path / "nowhere"))
    assert (found.views, found.runs) == ({}, frozenset())


def demo_store(demo: Demo) -> Store:
    from feature_repo.store import open_store

    return open_store(str(demo.store), cache=str(demo.folder / "cache"))
