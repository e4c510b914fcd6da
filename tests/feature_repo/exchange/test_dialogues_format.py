"""Pickles of dialogues in every known layout, planted; their numbers and texts against MELD's official files."""

import csv
import pickle

import numpy as np
import polars as pl
import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.exchange.dialogue_layouts import LAYOUTS
from feature_repo.exchange.dialogue_matching import match_by_texts, meld_id, same_words
from feature_repo.exchange.foreign import ForeignRequest
from feature_repo.exchange.importing import Source, import_table
from feature_repo.exchange.registry import format_to_read
from tests.feature_repo.exchange.planted_exchange import empty_store

WIDTHS = {"text": 6, "audio": 4, "visual": 3, "roberta1": 5, "roberta2": 5, "roberta3": 5, "roberta4": 5}
# MELD: (key in the pickle, split, dialogue, utterances); IEMOCAP: names.
MELD = [
    (0, "train", 0, 3),
    (1038, "train", 1038, 2),
    (1039, "dev", 0, 2),
    (1152, "dev", 113, 1),
    (1153, "test", 0, 4),
]
IEMOCAP = [("Ses01F_impro01", ["F000", "M000", "F001"]), ("Ses05M_script03_2", ["M000", "F000"])]


def meld_rows():
    """Utterance id, key, turn, utterance number; the first dialogue lacks its number 1, as annotations do."""
    for key, split, dialogue, count in MELD:
        numbers = [0, 2, 3][:count] if key == 0 else range(count)
        for turn, number in enumerate(numbers):
            yield f"meld/{split}/dia{dialogue}_utt{number}", key, turn, number


def iemocap_rows():
    for dialogue, names in IEMOCAP:
        for turn, name in enumerate(names):
            yield f"iemocap/{dialogue}_{name}", dialogue, turn, f"{dialogue}_{name}"


def said(name: str) -> str:
    return f"It’s “{name}”, isn't it?"


@pytest.fixture
def store(tmp_path):
    found = empty_store(tmp_path / "planted")
    for corpus, rows in (("meld", list(meld_rows())), ("iemocap", list(iemocap_rows()))):
        found.write_manifest(
            corpus,
            pl.DataFrame(
                {
                    "utterance_id": [row[0] for row in rows],
                    "dialogue_id": [f"{corpus}/{row[1]}" for row in rows],
                    "turn": [row[2] for row in rows],
                    "text": [said(row[0]) for row in rows],
                }
            ),
        )
    return found


def vector(kind: str, name: str) -> np.ndarray:
    generator = np.random.default_rng(list(f"{kind} {name}".encode()))
    return generator.standard_normal(WIDTHS[kind])


def planted(layout, texts=said, as_lists=False, numbers_as_text=False):
    """The data of a pickle in a layout, of every utterance above."""
    rows = list(meld_rows() if layout.corpus == "meld" else iemocap_rows())
    keys = list(dict.fromkeys(row[1] for row in rows))
    data = []
    for entry in layout.entries:
        if entry in ("train", "test", "valid"):
            data.append(keys[:1] if entry == "train" else keys[1:])
            continue
        by_key = {key: [] for key in keys}
        for name, key, _, number in rows:
            if entry == "ids":
                by_key[key].append(str(number) if numbers_as_text else number)
            elif entry == "sentences":
                by_key[key].append(texts(name).replace("’", "\x92"))  # as broken copies have it
            elif entry in WIDTHS:
                value = vector(entry, name)
                by_key[key].append(value.tolist() if as_lists else value)
            elif entry == "speakers":
                by_key[key].append([1, 0, 0] if layout.corpus == "meld" else "M")
            else:
                by_key[key].append(1)
        data.append({key: np.array(turns) for key, turns in by_key.items()} if entry == "audio" else by_key)
    return tuple(data)


def read(store, path, **asked):
    kind = format_to_read(path)
    assert kind.name == "dialogues"
    return kind.tables(path, ForeignRequest(**asked), store.manifest())


def source(path):
    return Source(path.name, "ab" * 32, "dialogues")


@pytest.mark.parametrize("as_lists", [False, True])
@pytest.mark.parametrize("name", sorted(LAYOUTS))
def test_every_layout_is_known_by_its_shape_and_gives_each_utterance_its_vectors(
    store, tmp_path, name, as_lists
):
    layout = LAYOUTS[name]
    path = tmp_path / "features.pkl"
    path.write_bytes(pickle.dumps(planted(layout, as_lists=as_lists, numbers_as_text=as_lists), 2))
    rows = list(meld_rows() if layout.corpus == "meld" else iemocap_rows())
    for kind in layout.vectors():
        (table,) = read(store, path, arrays=(kind,))
        done = import_table(store, table, source(path))
        assert store.recipe(done.view).settings["layout"] == name
        assert (done.report.computed, list(done.unknown), done.lacking) == (len(rows), [], 0)
        found = store.pull([done.view], join="outer")
        for utterance_id, *_ in rows:
            got = found.features[done.slot][found.ids.index(utterance_id)]
            np.testing.assert_array_equal(got, vector(kind, utterance_id).astype(np.float32))


def test_by_default_text_audio_and_visual_come_in_as_text_speech_and_face(store, tmp_path):
    path = tmp_path / "features.pkl"
    path.write_bytes(pickle.dumps(planted(LAYOUTS["meld-mmgcn"])))
    found = [(table.name, table.modality, table.width) for table in read(store, path)]
    assert found == [("text", "text", 6), ("audio", "speech", 4), ("visual", "face", 3)]
    with pytest.raises(UnknownNameError, match="'roberta1'; allowed: audio, text, visual"):
        read(store, path, arrays=("roberta1",))


def test_a_layout_of_four_roberta_layers_wants_one_named(store, tmp_path):
    path = tmp_path / "features.pkl"
    path.write_bytes(pickle.dumps(planted(LAYOUTS["iemocap-cosmic"])))
    with pytest.raises(BadInputError, match="roberta1, roberta2, roberta3, roberta4; name .* --array"):
        read(store, path)


def test_a_text_that_was_mended_here_lets_its_turn_in(store, tmp_path):
    path = tmp_path / "features.pkl"
    path.write_bytes(pickle.dumps(planted(LAYOUTS["meld-mmgcn"])))
    rows = store.manifest(["meld"]).select("utterance_id", "dialogue_id", "turn", "text")
    wrong = pl.when(pl.col("utterance_id") == "meld/dev/dia0_utt1").then(pl.lit("Else.")).otherwise("text")
    for texts, faults in ((wrong, 1), (pl.col("text"), 0)):
        store.write_manifest("meld", rows.with_columns(text=texts))
        (table,) = read(store, path, arrays=("audio",))
        done = import_table(store, table, source(path))
        assert done.report.views[done.view].faulted == faults
        assert store.faults.entries(done.view).height == faults
    assert store.pull([done.view]).ids == rows["utterance_id"].to_list()


@pytest.mark.parametrize("name", ["meld-mmgcn", "iemocap-dialoguernn"])
def test_a_turn_that_says_something_else_here_is_a_fault(store, tmp_path, name):
    path = tmp_path / "features.pkl"
    wrong = "meld/dev/dia0_utt1" if name.startswith("meld") else "iemocap/Ses05M_script03_2_F000"

    def texts(utterance):
        return "Something else." if utterance == wrong else said(utterance)

    path.write_bytes(pickle.dumps(planted(LAYOUTS[name], texts)))
    (table,) = read(store, path, arrays=("audio",))
    done = import_table(store, table, source(path))
    assert done.report.faults_by_reason == {"extract: TextMismatch": 1}
    (fault,) = store.faults.entries(done.view).iter_rows(named=True)
    assert fault["utterance_id"] == wrong
    assert "Something else." in fault["message"]
    assert store.pull([done.view], join="outer").present["speech"].sum() == done.rows - 1


def test_another_shape_is_refused_with_what_was_found(store, tmp_path):
    path = tmp_path / "features.pkl"
    nine = planted(LAYOUTS["iemocap-dialoguernn"])
    for data, told in (
        (nine[:8], "8 entries"),
        ((*nine[:3], nine[6], *nine[4:]), r"dict of 2 with vectors of 4"),
        (["a", "b"], "2 entries"),
    ):
        path.write_bytes(pickle.dumps(data))
        with pytest.raises(BadInputError, match=told):
            read(store, path)
        with pytest.raises(BadInputError, match=r"Known are .*meld-sdt: ids, speakers, labels, roberta1"):
            read(store, path)
    path.write_bytes(pickle.dumps(nine))
    with pytest.raises(BadInputError, match="Known are meld-mmgcn"):
        read(store, path, layout="meld-mmgcn")
    with pytest.raises(UnknownNameError, match="'nonsense'; allowed: iemocap-cosmic"):
        read(store, path, layout="nonsense")


def test_meld_s_numbers_run_on_over_the_splits():
    assert meld_id("meld", 1038, 4) == "meld/train/dia1038_utt4"
    assert meld_id("meld", 1039, 0) == "meld/dev/dia0_utt0"
    assert meld_id("m2", 1152, 0) == "m2/dev/dia113_utt0"
    assert meld_id("meld", 1432, 1) == "meld/test/dia279_utt1"


def test_texts_find_their_dialogue_also_when_turns_lack_or_dialogues_repeat():
    rows = [
        ("a", ["Hi.", "What?", "Oh my God!", "Bye."]),
        ("b", ["Hi.", "What?"]),
        ("c", ["Hi.", "What?"]),
        ("d", ["No one says this.", "Nor that."]),
    ]
    manifest = pl.DataFrame(
        [
            {
                "utterance_id": f"{dialogue}{turn}",
                "dialogue_id": dialogue,
                "turn": turn,
                "text": text,
                "start_s": None,
            }
            for dialogue, texts in rows
            for turn, text in enumerate(texts)
        ],
        schema_overrides={"start_s": pl.Float64},
    )
    found = match_by_texts(
        {
            1: ["Hi", "what?"],
            2: ["Hi.", "Oh my God", "Bye!"],
            3: ["hi", "What"],
            4: ["Hi.", "Something", "entirely", "new"],
        },
        manifest,
    )
    assert found == {
        (1, 0): "b0",
        (1, 1): "b1",
        (3, 0): "c0",
        (3, 1): "c1",
        (2, 0): "a0",
        (2, 1): "a2",
        (2, 2): "a3",
    }


def test_copies_of_a_text_are_the_same_words():
    assert same_words("It’s “fine”, Joey…") == same_words("It\x92s fine Joey...") == "itsfinejoey"
    assert same_words("Yes.") != same_words("Yes, no.")


def test_meld_s_official_files_have_the_numbers_and_the_texts_find_their_way_alone(samples):
    rows, pickled, sentences = [], {}, {}
    for split, first in (("train", 0), ("dev", 1039), ("test", 1153)):
        with (samples / "data" / "meld" / f"{split}_sent_emo.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                dialogue, turn = int(row["Dialogue_ID"]), int(row["Utterance_ID"])
                name = f"meld/{split}/dia{dialogue}_utt{turn}"
                key = dialogue + first
                rows.append((name, f"meld/{split}/dia{dialogue}", turn, row["Utterance"]))
                pickled[key, len(sentences.setdefault(key, []))] = name
                sentences[key].append(row["Utterance"])
                assert meld_id("meld", key, turn) == name
    assert (len(sentences), max(sentences), len(rows)) == (1432, 1432, 13708)
    manifest = pl.DataFrame(rows, ["utterance_id", "dialogue_id", "turn", "text"], orient="row").with_columns(
        start_s=pl.lit(None, pl.Float64)
    )
    found = match_by_texts(sentences, manifest)
    texts = {name: text for name, _, _, text in rows}
    # Dialogues of one and the same line can't be told apart, and need not be.
    assert len(found) == len(rows)
    assert all(same_words(texts[found[turn]]) == same_words(texts[name]) for turn, name in pickled.items())
    assert sum(found[turn] == name for turn, name in pickled.items()) > 0.995 * len(rows)
