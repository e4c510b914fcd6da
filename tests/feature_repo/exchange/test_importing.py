"""Tables of others: ids by pattern and mapping, what the gate refuses, once and again, and files that are no tables."""

import hashlib
import io
import zipfile

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.exchange.exporting import bundle_of
from feature_repo.exchange.foreign import ForeignRequest
from feature_repo.exchange.importing import (
    Source,
    detached_tables,
    file_digest,
    import_table,
    read_mapping,
    utterance_ids,
)
from feature_repo.exchange.registry import format_to_read
from tests.feature_repo.exchange.planted_exchange import TEXT, WORDS, empty_store, make_store, manifest

IDS = [f"c/d{n // 4}_u{n % 4}" for n in range(6)]
VECTORS = np.arange(1, 25, dtype=np.float64).reshape(6, 4) / 7
STEPS = [np.arange(1, 1 + 3 * n, dtype=np.float16).reshape(n, 3) for n in (1, 4, 2, 3, 1, 5)]


@pytest.fixture
def store(tmp_path):
    found = empty_store(tmp_path / "planted")
    found.write_manifest("c", manifest("c", 8))
    return found


def tables(store, path, name=None, **asked):
    return format_to_read(path, name).tables(path, ForeignRequest(**asked), store.manifest())


def source(path, **said):
    return Source(path.name, file_digest(path), format_to_read(path).name, **said)


def pulled(store, view):
    return store.pull([view], join="outer")


def check_vectors(store, done, expected=VECTORS):
    found = pulled(store, done.view)
    for name, vector in zip(IDS, expected, strict=True):
        np.testing.assert_array_equal(
            found.features[done.slot][found.ids.index(name)], vector.astype(np.float32)
        )
    assert found.present[done.slot].sum() == len(IDS)


def check_steps(store, done, expected=STEPS):
    found = pulled(store, done.view)
    for name, steps in zip(IDS, expected, strict=True):
        got = found.features[done.slot].row(found.ids.index(name))
        assert got.dtype == np.float16
        np.testing.assert_array_equal(got, steps)


def npz(folder, **arrays):
    np.savez(folder / "x.npz", **arrays)
    return folder / "x.npz"


def padded():
    whole = np.zeros((6, 7, 3), np.float16)
    for row, steps in enumerate(STEPS):
        whole[row, : len(steps)] = steps
    return whole


def test_vectors_of_an_archive_of_a_single_array_and_of_safetensors(store, tmp_path):
    from safetensors.numpy import save_file

    path = npz(tmp_path, ids=np.array(IDS), feats=VECTORS, labels=np.arange(6))
    (table,) = tables(store, path)
    check_vectors(store, import_table(store, table, source(path), modality="speech"))
    np.save(tmp_path / "feats.npy", VECTORS)
    (tmp_path / "ids.txt").write_text("\n".join(IDS) + "\n")
    (table,) = tables(store, tmp_path / "feats.npy", ids=str(tmp_path / "ids.txt"))
    check_vectors(store, import_table(store, table, source(tmp_path / "feats.npy"), modality="speech"))
    save_file({"feats": VECTORS}, tmp_path / "x.safetensors")
    (table,) = tables(store, tmp_path / "x.safetensors", ids=str(tmp_path / "ids.txt"))
    check_vectors(store, import_table(store, table, source(tmp_path / "x.safetensors"), modality="speech"))


def test_sequences_by_offsets_by_lengths_and_by_padding_of_zeros(store, tmp_path):
    lengths = np.array([len(steps) for steps in STEPS])
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    for arrays in (
        {"feats": np.concatenate(STEPS), "feats_offsets": offsets},
        {"feats": padded(), "feats_lengths": lengths},
        {"feats": padded()},
    ):
        path = npz(tmp_path, ids=np.array(IDS), **arrays)
        (table,) = tables(store, path)
        check_steps(store, import_table(store, table, source(path), modality="text"))


def test_rows_that_a_mask_leaves_out_are_no_rows(store, tmp_path):
    path = npz(tmp_path, ids=np.array(IDS), feats=VECTORS, feats_present=np.array([1, 0, 1, 1, 1, 1], bool))
    (table,) = tables(store, path)
    done = import_table(store, table, source(path), modality="text")
    assert (done.rows, done.report.computed, done.lacking) == (5, 5, 3)


@pytest.mark.parametrize("kind", ["parquet", "pq", "arrow", "saved", "folder"])
def test_columns_of_datasets_and_of_their_files(store, tmp_path, kind):
    from datasets import Dataset

    data = {
        "id": IDS,
        "vectors": VECTORS.tolist(),
        "words": [None, *([step.tolist() for step in steps] for steps in STEPS[1:])],
    }
    schema = pa.schema(
        [
            ("id", pa.string()),
            ("vectors", pa.list_(pa.float64())),
            ("words", pa.list_(pa.list_(pa.float32(), 3))),
        ]
    )
    made = Dataset(pa.table(data, schema=schema))
    path = tmp_path / {"parquet": "x.parquet", "pq": "x.pq", "arrow": "x.arrow"}.get(kind, "x")
    if kind in ("parquet", "pq"):
        made.to_parquet(str(path))
    elif kind == "arrow":
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            writer.write_table(made.data.table)
    elif kind == "saved":
        made.save_to_disk(str(path))
    else:
        path.mkdir()
        for shard in range(2):
            made.shard(2, shard).to_parquet(str(path / f"{shard}.parquet"))
    (vectors,) = tables(store, path, arrays=("vectors",))
    check_vectors(store, import_table(store, vectors, source(path), modality="speech"))
    (words,) = tables(store, path, arrays=("words",))
    done = import_table(store, words, source(path), modality="text")
    found = pulled(store, done.view)
    assert done.rows == 5
    np.testing.assert_array_equal(found.features["text_steps"].row(found.ids.index(IDS[1])), STEPS[1])
    with pytest.raises(BadInputError, match="several columns of vectors: vectors, words"):
        tables(store, path)


def test_the_recipe_says_where_the_table_came_from(store, tmp_path):
    path = npz(tmp_path, ids=np.array(IDS), feats=VECTORS)
    (table,) = tables(store, path)
    done = import_table(store, table, source(path, note="openSMILE 3, from Ann"), modality="speech")
    recipe = store.recipe(done.view)
    assert recipe.extractor == "imported"
    assert recipe.settings["source"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert recipe.settings["note"] == "openSMILE 3, from Ann"
    assert (recipe.settings["format"], recipe.settings["array"]) == ("npz", "feats")
    assert recipe.settings["corpora"] == ["c"]
    assert store.provenance(done.view) == {"imported from": "x.npz"}


def test_the_same_file_again_computes_nothing_and_a_changed_one_is_another_view(store, tmp_path):
    path = npz(tmp_path, ids=np.array(IDS), feats=VECTORS)

    def run(**said):
        (table,) = tables(store, path)
        return import_table(store, table, source(path, **said), modality="text")

    first, second = run(), run()
    assert (first.view, first.report.computed) == (second.view, 6)
    assert second.report.computed == 0
    store.write_manifest(
        "c", manifest("c", 8).with_columns(text=pl.lit("said otherwise"), split=pl.lit("test"))
    )
    assert run().report.computed == 0  # what was imported does not depend on what is said
    assert pulled(store, first.view).present["text"].sum() == 6
    store.write_manifest("c", manifest("c", 3))
    assert pulled(store, first.view).present["text"].sum() == 3
    store.write_manifest("c", manifest("c", 8))
    assert run(note="other").view != first.view
    npz(tmp_path, ids=np.array(IDS), feats=VECTORS + 1)
    assert run().view != first.view


def test_what_the_gate_refuses_is_a_fault_and_the_others_are_stored(store, tmp_path):
    vectors = VECTORS.copy()
    vectors[1, 2], vectors[2], vectors[3, 0] = np.nan, 0, 1e300
    path = npz(tmp_path, ids=np.array(IDS), feats=vectors)
    (table,) = tables(store, path)
    done = import_table(store, table, source(path), modality="speech")
    assert done.report.computed == 3
    assert done.report.faults_by_reason == {"gate: RefusedFeatures": 3}
    messages = dict(store.faults.entries(done.view).select("utterance_id", "message").iter_rows())
    assert "NaN" in messages[IDS[1]]
    assert "zero" in messages[IDS[2]]
    assert "float32" in messages[IDS[3]]
    assert import_table(store, table, source(path), modality="speech").report.computed == 0


def test_ids_that_nobody_knows_are_counted_and_a_file_of_nothing_else_refused(store, tmp_path):
    path = npz(tmp_path, ids=np.array([*IDS[:4], "c/none", "d/none"]), feats=VECTORS)
    (table,) = tables(store, path)
    done = import_table(store, table, source(path), modality="text")
    assert (list(done.unknown), done.report.computed, done.lacking) == (["c/none", "d/none"], 4, 4)
    path = npz(tmp_path, ids=np.array([f"{n}" for n in range(6)]), feats=VECTORS)
    (table,) = tables(store, path)
    with pytest.raises(BadInputError, match=r"'0', '1', '2'; ids here: 'c/d0_u0'.*--id"):
        import_table(store, table, source(path), modality="text")
    path = npz(tmp_path, ids=np.array([*IDS[:5], IDS[0]]), feats=VECTORS)
    (table,) = tables(store, path)
    with pytest.raises(BadInputError, match="two rows are of 'c/d0_u0'"):
        import_table(store, table, source(path), modality="text")
    assert len(store.views()) == 1


def test_ids_by_pattern_and_by_a_mapping(store, tmp_path):
    short = [name.removeprefix("c/") for name in IDS]
    path = npz(tmp_path, ids=np.array(short), feats=VECTORS)
    (table,) = tables(store, path)
    done = import_table(store, table, source(path, pattern="c/{id}"), modality="text")
    check_vectors(store, done)
    assert store.recipe(done.view).settings["ids"] == "c/{id}"
    lines = "\n".join(f"{theirs},{ours}" for theirs, ours in zip(short, IDS, strict=True))
    (tmp_path / "map.csv").write_text(f"source,utterance_id\n{lines}\n")
    mapped = import_table(
        store, table, source(path, mapping=read_mapping(tmp_path / "map.csv")), modality="text"
    )
    check_vectors(store, mapped)
    assert mapped.view != done.view
    with pytest.raises(BadInputError, match="{speaker} is none of {id}"):
        utterance_ids(table, source(path, pattern="{speaker}"))
    with pytest.raises(BadInputError, match="does not tell splits"):
        utterance_ids(table, source(path, pattern="c/{split}/{id}"))
    (tmp_path / "twice.csv").write_text("source,utterance_id\na,b\na,c\n")
    with pytest.raises(BadInputError, match="'a' stands twice"):
        read_mapping(tmp_path / "twice.csv")
    (tmp_path / "other.csv").write_text("x,y\na,b\n")
    with pytest.raises(BadInputError, match="columns source and utterance_id"):
        read_mapping(tmp_path / "other.csv")


@pytest.mark.parametrize(
    ("arrays", "asked", "told"),
    [
        ({"feats": VECTORS}, {}, "no ids"),
        ({"ids": np.array(IDS), "a": VECTORS, "b": VECTORS}, {}, "several arrays: a, b"),
        ({"ids": np.array(IDS), "n": np.arange(6)}, {}, "no array of vectors"),
        ({"ids": np.array(IDS), "n": np.arange(6)}, {"arrays": ("n",)}, r"shape \[6\]"),
        ({"ids": np.array(IDS[:5]), "a": VECTORS}, {}, "6 rows, and there are 5 ids"),
        ({"ids": np.array(IDS), "a": VECTORS, "a_offsets": np.array([0, 9])}, {}, "1 rows"),
        (
            {"ids": np.array(IDS), "a": VECTORS, "a_offsets": np.array([0, 9, 1, 2, 3, 4, 6])},
            {},
            "where the rows",
        ),
        ({"ids": np.array(IDS), "a": padded(), "a_lengths": np.array([1])}, {}, "1 entries for 6 rows"),
        ({"ids": np.array(IDS), "a": padded(), "a_lengths": np.array([-1] * 6)}, {}, "below zero"),
        (
            {"ids": np.array(IDS), "a": padded(), "a_lengths": np.ones((6, 1), int)},
            {},
            "not a list of numbers",
        ),
        ({"ids": VECTORS, "a": VECTORS}, {"arrays": ("a",)}, "not a list of names"),
        ({"ids": np.array(IDS), "a": VECTORS.astype(complex)}, {"arrays": ("a",)}, "complex"),
    ],
)
def test_files_that_are_no_tables_are_told_what_is_wrong(store, tmp_path, arrays, asked, told):
    path = npz(tmp_path, **arrays)
    with pytest.raises(BadInputError, match=told):
        tables(store, path, **asked)


def test_an_archive_that_declares_more_than_there_is_memory_is_refused(store, tmp_path):
    header = io.BytesIO()
    told = {"descr": "<f4", "fortran_order": False, "shape": (2**45,)}
    np.lib.format.write_array_header_1_0(header, told)
    with zipfile.ZipFile(tmp_path / "x.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", header.getvalue())
    with pytest.raises(BadInputError, match="x.npz"):
        tables(store, tmp_path / "x.npz")


def test_an_unknown_array_is_told_those_there_are_and_objects_are_never_unpickled(store, tmp_path):
    path = npz(tmp_path, ids=np.array(IDS), feats=VECTORS)
    with pytest.raises(UnknownNameError, match="'audio'; allowed: feats, ids"):
        tables(store, path, arrays=("audio",))
    np.savez(tmp_path / "o.npz", ids=np.array(IDS), feats=np.array([object()] * 6))
    with pytest.raises(BadInputError, match="pickle|objects"):
        tables(store, tmp_path / "o.npz")
    (tmp_path / "torn.npz").write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BadInputError, match="torn.npz"):
        tables(store, tmp_path / "torn.npz")
    (table,) = tables(store, path)
    with pytest.raises(BadInputError, match="--as"):
        import_table(store, table, source(path), modality="My Text")
    with pytest.raises(UnknownNameError, match="'meld'; allowed: c"):
        import_table(store, table, source(path), modality="text", corpora=["meld"])


def test_an_export_can_stand_for_itself_nothings_and_their_notes_included(tmp_path):
    store = make_store(tmp_path / "one", (TEXT, WORDS))
    bundle, before = bundle_of(store, {"text": TEXT.view, "words": WORDS.view})
    for table in detached_tables(bundle, list(bundle.slots)):
        done = import_table(store, table, Source("x.npz", "ab" * 32, "npz"))
        after = store.pull({table.name: done.view}, join="outer")
        old = before.coverage[table.name]
        assert (after.coverage[table.name].present, after.coverage[table.name].nothing) == (
            old.present,
            old.nothing,
        )
        np.testing.assert_array_equal(after.present[table.name], before.present[table.name])
        for row in np.flatnonzero(before.present[table.name]):
            value = before.features[table.name]
            mine = after.features[table.name]
            pair = (mine.row(row), value.row(row)) if table.name == "words" else (mine[row], value[row])
            assert pair[0].tobytes() == pair[1].tobytes()
        assert store.recipe(done.view).settings["origin"] == bundle.slots[table.name].recipe.fingerprint


@pytest.mark.parametrize("lengths", [True, False])
def test_a_file_of_mmsa_comes_in_by_modality_and_split(tmp_path, lengths):
    import pickle

    store = empty_store(tmp_path / "planted")
    rows = [("train", "v1$_$0"), ("train", "v1$_$1"), ("valid", "v2$_$0"), ("test", "v3$_$7")]
    ours = [f"mosi/{ {'valid': 'dev'}.get(split, split) }/{name.replace('$_$', '_')}" for split, name in rows]
    store.write_manifest("mosi", pl.DataFrame({"utterance_id": ours, "text": ["a", "b", "c", "d"]}))
    generator = np.random.default_rng(0)
    data, known = {}, {}
    for split, width in (("train", 5), ("valid", 5), ("test", 5)):
        names = [name for part, name in rows if part == split]
        audio = np.zeros((len(names), 6, width), np.float32)
        for row, name in enumerate(names):
            known[name] = generator.random((row + 2, width), np.float32)
            audio[row, : row + 2] = known[name]
        data[split] = {
            "id": names,
            "audio": audio,
            "vision": generator.random((len(names), 4, 3)),
            "text": generator.random((len(names), 3, 8)).astype(np.float32),
            "text_bert": np.zeros((len(names), 3, 50)),
            "raw_text": ["x"] * len(names),
            "regression_labels": np.zeros(len(names)),
        }
        if lengths:
            data[split] |= {
                "audio_lengths": [row + 2 for row in range(len(names))],
                "vision_lengths": [4] * len(names),
            }
    path = tmp_path / "unaligned_50.pkl"
    path.write_bytes(pickle.dumps(data, 2))
    every = tables(store, path)
    assert [(table.name, table.modality) for table in every] == [
        ("text", "text"),
        ("audio", "speech"),
        ("vision", "face"),
    ]
    (table,) = tables(store, path, arrays=("audio",))
    done = import_table(store, table, source(path, pattern="mosi/{split}/{video}_{clip}"))
    assert (done.slot, done.report.computed, done.lacking) == ("speech_steps", 4, 0)
    found = pulled(store, done.view)
    for (_, name), ours_id in zip(rows, ours, strict=True):
        np.testing.assert_array_equal(
            found.features["speech_steps"].row(found.ids.index(ours_id)), known[name]
        )
    with pytest.raises(UnknownNameError, match="'smell'; allowed: audio, text, vision"):
        tables(store, path, arrays=("smell",))
    path.write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(BadInputError, match="keys 'a'; MMSA's have train, valid, test"):
        tables(store, path)


def test_an_interrupted_import_keeps_what_it_stored_and_goes_on_from_there(store, tmp_path):
    path = npz(tmp_path, ids=np.array(IDS), feats=VECTORS)
    (table,) = tables(store, path)
    seen = []

    def interrupt(count):
        seen.append(count)
        if len(seen) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_table(store, table, source(path), modality="text", on_rows=interrupt)
    done = import_table(store, table, source(path), modality="text")
    assert (done.report.computed, done.report.views[done.view].up_to_date) == (2, 4)
    check_vectors(store, done)
