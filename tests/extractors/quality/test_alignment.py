"""Alignment: the paper's example, an independent encoder and edit distance, and what is stored of nothing."""

import numpy as np
import polars as pl
import pytest

from extractors.extraction import extract
from extractors.quality import alignment
from extractors.quality.alignment import AlignmentDerivation, cosine, levenshtein
from extractors.registry import create
from extractors.text.sentence import SentenceSettings
from extractors.weights import locate
from feature_repo.errors import BadInputError
from feature_repo.fill import FillReport, fill
from feature_repo.records import current_rows
from feature_repo.store import Store, init_store
from tests.extractors.conftest import MINILM

SAID = {
    "c/1": "Yeah!",
    "c/2": "I am so happy today!",
    "c/3": "No.",
    "c/4": "Yeah!",
    "c/5": None,
    "c/6": "  ",
    "c/7": "Who is it?",
}
HEARD = {
    "c/1": "Yeah, it really has been great, too.",
    "c/2": "I'm so happy today.",
    "c/3": "",
    "c/4": "Yeah!",
    "c/5": "Something.",
    "c/6": "Something.",
    "c/7": "   ",
}
SETTINGS = SentenceSettings(model=MINILM, tokens=False)


def ingest(store: Store, said: dict[str, str | None], tmp_path) -> None:
    rows = {
        "utterance_id": list(said),
        "text": list(said.values()),
        "media_uri": [str(tmp_path / "a.wav")] * len(said),
    }
    store.write_manifest("c", pl.DataFrame(rows))


@pytest.fixture
def store(tmp_path) -> Store:
    store = init_store(str(tmp_path / "store"), cache=str(tmp_path / "cache"))
    ingest(store, SAID, tmp_path)
    transcribe(store, HEARD, tmp_path)
    return store


def transcribe(store: Store, heard: dict[str, str], tmp_path) -> None:
    file = tmp_path / "asr.jsonl"
    pl.DataFrame({"utterance_id": list(heard), "transcript": list(heard.values())}).write_ndjson(file)
    extract(store, [create("giventranscript", {"file": str(file)})], profile="p", device="cpu")


def made(store: Store, settings: SentenceSettings = SETTINGS, **options) -> AlignmentDerivation:
    return AlignmentDerivation(
        store.recipe(store.catalog.resolve("transcript", "p")), settings, "cpu", **options
    )


def run(store: Store, derivation: AlignmentDerivation) -> FillReport:
    return fill(
        store, list(derivation.recipes().values()), lambda missing: derivation.compute(store, missing)
    )


def rows(store: Store, derivation: AlignmentDerivation) -> dict[str, dict]:
    found = current_rows(store, derivation.recipes()["alignment"].view, store.manifest())
    return {row.pop("utterance_id"): row for row in found.to_dicts()}


def test_the_paper_s_example():
    similarity = levenshtein("Yeah!", "Yeah, it really has been great, too.")
    assert similarity == pytest.approx(4 / 36)  # four letters of 36 stay
    assert f"{similarity:.4f}" == "0.1111"


def test_spellings_are_compared_raw():
    def by_hand(one: str, other: str) -> float:
        """Edit distance by its textbook table."""
        table = list(range(len(other) + 1))
        for row, letter in enumerate(one, 1):
            diagonal, table[0] = table[0], row
            for column, against in enumerate(other, 1):
                diagonal, table[column] = (
                    table[column],
                    min(table[column] + 1, table[column - 1] + 1, diagonal + (letter != against)),
                )
        return 1 - table[-1] / max(len(one), len(other))

    pairs = [("Yes.", "yes"), ("Oh my God!", "Oh, my god."), ("a", "bcd"), ("Käse", "Kaese"), ("🙂", "🙁")]
    for one, other in [*pairs, ("same", "same")]:
        assert levenshtein(one, other) == levenshtein(other, one) == pytest.approx(by_hand(one, other))
    assert levenshtein("YES", "yes") == 0


def test_a_cosine_is_that_of_the_angle():
    assert cosine(np.array([1.0, 0.0]), np.array([3.0, 3.0])) == pytest.approx(2**-0.5)
    assert cosine(np.array([1.0, 2.0]), np.array([-2.0, -4.0])) == pytest.approx(-1)


def test_each_transcript_is_compared_with_its_text(store):
    from sentence_transformers import SentenceTransformer, util

    derivation = made(store)
    report = run(store, derivation)
    found = rows(store, derivation)
    reference = SentenceTransformer(str(locate(MINILM)), device="cpu", local_files_only=True)
    for name in ("c/1", "c/2", "c/4"):
        wanted = util.cos_sim(*reference.encode([SAID[name], HEARD[name]])).item()
        assert found[name]["cosine"] == pytest.approx(wanted, abs=1e-5)
    assert found["c/1"]["levenshtein"] == pytest.approx(0.1111, abs=1e-4)
    assert found["c/4"]["levenshtein"] == 1
    assert found["c/4"]["cosine"] == pytest.approx(1, abs=1e-6)
    assert report.computed == 6


def test_an_empty_transcript_is_a_nothing_and_is_not_computed_again(store):
    derivation = made(store)
    run(store, derivation)
    found = rows(store, derivation)
    for name in ("c/3", "c/7"):
        nothing = {"state": "nothing", "note": "empty transcript", "cosine": None, "levenshtein": None}
        assert found[name] == nothing
    loaded: list[str] = []
    again = made(store, on_load=loaded.append)
    assert (run(store, again).computed, loaded) == (0, [])


def test_an_utterance_without_text_is_not_applicable_and_one_of_blanks_a_nothing(store):
    derivation = made(store)
    run(store, derivation)
    found = rows(store, derivation)
    assert found["c/5"]["state"] == "inapplicable"
    assert (found["c/6"]["state"], found["c/6"]["note"]) == ("nothing", "empty text")


def test_only_what_changed_is_compared_again(store, tmp_path):
    derivation = made(store)
    run(store, derivation)
    ingest(store, {**SAID, "c/2": "Something else."}, tmp_path)
    before = rows(store, derivation)
    assert {name: row["state"] for name, row in before.items() if row["state"] == "stale"} == {"c/2": "stale"}
    assert run(store, derivation).computed == 1
    assert rows(store, derivation)["c/2"]["levenshtein"] < 0.5


def test_the_same_sentence_is_encoded_once(store, tmp_path, monkeypatch):
    ingest(store, {f"c/{n}": "Yeah!" for n in range(100)}, tmp_path)
    transcribe(store, {f"c/{n}": "Yeah!" if n % 2 else "No." for n in range(100)}, tmp_path)
    encoded: list[str] = []
    attempt = alignment.attempt

    def counted(extractor, batch):
        encoded.extend(item.text for item in batch)
        return attempt(extractor, batch)

    monkeypatch.setattr(alignment, "attempt", counted)
    assert run(store, made(store)).computed == 100
    assert sorted(encoded) == ["No.", "Yeah!"]


def test_many_utterances_go_in_portions(store, monkeypatch):
    whole = made(store)
    run(store, whole)
    wanted = rows(store, whole)
    monkeypatch.setattr(alignment, "_AT_ONCE", 2)
    outcomes = {
        name: outcome
        for _, name, outcome in made(store).compute(
            store, {whole.recipes()["alignment"].view: ["c/4", "c/3", "c/2", "c/1"]}
        )
    }
    assert list(outcomes) == ["c/4", "c/3", "c/2", "c/1"]
    assert outcomes["c/1"].columns["cosine"] == pytest.approx(wanted["c/1"]["cosine"], abs=1e-5)


def test_the_recipe_is_the_encoder_s_and_the_transcripts(store):
    plain = made(store).recipes()["alignment"]
    transcript = store.recipe(store.catalog.resolve("transcript", "p"))
    assert (plain.slot, plain.reads, plain.layout) == ("alignment", "rows", "record")
    assert plain.inputs == (transcript.fingerprint,)
    assert plain.manifest_columns == ("text",)
    assert plain.weights == create("sentence", {"model": MINILM}).recipes()["text"].weights
    assert plain.languages == ("en",)
    others = [
        made(store, SentenceSettings(model=MINILM, max_length=16)),
        made(store, SentenceSettings(model=MINILM, languages=())),
        made(store, SentenceSettings(model=MINILM, compute_dtype="float16")),
    ]
    assert len({plain.fingerprint, *(other.recipes()["alignment"].fingerprint for other in others)}) == 4
    alike = made(store, SentenceSettings(model=MINILM, batch_size=1, tokens=True))
    assert alike.recipes()["alignment"] == plain
    assert made(store).provenance()["model"] == MINILM


def test_the_default_encoder_is_the_paper_s(store, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))
    with pytest.raises(BadInputError, match="'sentence-transformers/all-mpnet-base-v2' is not at hand"):
        AlignmentDerivation(store.recipe(store.catalog.resolve("transcript", "p"))).recipes()
