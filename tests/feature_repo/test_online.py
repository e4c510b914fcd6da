"""The online store holds the live rows: compared with the planted numbers, through changes, merges and erasure."""

import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from feature_repo.compaction import compact, gc
from feature_repo.content import wanted_keys
from feature_repo.erasure import forget
from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.feast_config import PACKAGED
from feature_repo.feast_import import import_feast
from feature_repo.feast_store import open_feast
from feature_repo.feature_table import FeatureTable, QuarantineWarning
from feature_repo.online import erase_online, lookup, materialize
from feature_repo.part import Row, rows_to_arrow
from feature_repo.services import immutable_name
from feature_repo.store import Store
from tests.feature_repo.planted_feast import NOTHING, SPEAKER, STEPS, TEXT, make_store, planted, write

TEXTS = {"c/1": "hello", "c/2": "good bye", "c/3": NOTHING}
POOLED = [TEXT, SPEAKER]


@pytest.fixture
def store(tmp_path) -> Store:
    import_feast()
    return make_store(tmp_path, TEXTS)


def expected(texts: list[str | None]) -> dict[str, list[list[float] | None]]:
    return {
        recipe.slot: [None if text is None else planted(recipe, text).tolist() for text in texts]
        for recipe in POOLED
    }


def looked_up(store: Store, ids: list[str]) -> dict[str, list[list[float] | None]]:
    return lookup(store, ["text", "speaker"], ids).drop("utterance_id").to_dict(as_series=False)


def test_lookup_answers_what_the_tables_hold_and_tells_what_is_absent(store):
    assert materialize(store).rows == {SPEAKER.view: 3, TEXT.view: 3}
    ids = ["c/2", "c/unknown", "c/3", "c/1"]
    found = lookup(store, ["text", "speaker"], ids)
    assert found["utterance_id"].to_list() == ids
    assert found.schema["text"] == pl.List(pl.Float32)
    assert looked_up(store, ids) == expected(["good bye", None, None, "hello"])
    assert materialize(store).rows == {SPEAKER.view: 0, TEXT.view: 0}
    assert (
        lookup(store, ["speaker"], ["c/1"] * 1001)["speaker"].to_list()
        == expected(["hello"])["speaker"] * 1001
    )
    assert lookup(store, ["text"], []).height == 0
    by_service = lookup(store, immutable_name({"text": TEXT.view, "speaker": SPEAKER.view}), ["c/1"])
    assert by_service.columns == ["utterance_id", "text", "speaker"]
    assert by_service["speaker"].to_list() == expected(["hello"])["speaker"]
    by_view = lookup(store, [TEXT.view], ["c/1"], profile="paper")
    assert by_view[TEXT.view].to_list() == expected(["hello"])["text"]


def test_only_what_changed_is_loaded_and_old_content_and_leaving_ones_replace_what_was_there(store):
    materialize(store)
    changed = {**TEXTS, "c/1": "hello there", "c/4": "new"}
    write(store, changed)
    assert materialize(store, ["text"]).rows == {TEXT.view: 2}
    assert materialize(store).rows == {SPEAKER.view: 2, TEXT.view: 0}
    assert looked_up(store, ["c/1", "c/2", "c/4"]) == expected(["hello there", "good bye", "new"])
    # The first text comes back: its row is not computed, it is copied forward.
    report = write(store, {**changed, "c/1": "hello"})
    assert (report.views[TEXT.view].copied, report.computed) == (1, 0)
    materialize(store)
    assert looked_up(store, ["c/1"]) == expected(["hello"])
    # An utterance leaves the manifest, another has nothing to embed any more.
    write(store, {"c/1": "hello", "c/2": NOTHING})
    materialize(store)
    assert looked_up(store, ["c/1", "c/2", "c/4"]) == expected(["hello", None, None])


def test_a_part_that_becomes_visible_late_or_from_a_clock_that_is_ahead_is_loaded_in_its_place(store):
    materialize(store)
    table = store.table(TEXT.view)
    keys = dict(wanted_keys(TEXT, store.manifest(), lambda _: pl.DataFrame()).iter_rows())
    now = time.time_ns() // 1000

    def commit(name: str, text: str, created_us: int) -> None:
        row = Row(name, keys.get(name, "key"), planted(TEXT, text))
        table.append_table(rows_to_arrow(TEXT, [row], created_us), created_us, {})

    commit("c/late", "late", now - 3_600_000_000)
    assert materialize(store, ["text"]).rows[TEXT.view] >= 1
    commit("c/1", "from the future", now + 3_600_000_000)
    assert materialize(store, ["text"]).rows == {TEXT.view: 1}
    commit("c/1", "older than what is live", now - 1_800_000_000)
    materialize(store, ["text"])
    found = lookup(store, ["text"], ["c/late", "c/1"])["text"].to_list()
    assert found == [planted(TEXT, "late").tolist(), planted(TEXT, "from the future").tolist()]


def test_merging_parts_loads_nothing_again_and_changes_nothing(store):
    write(store, {**TEXTS, "c/1": "hello there"})
    materialize(store)
    for recipe in POOLED:
        compact(store.table(recipe.view))
    assert materialize(store).rows == {SPEAKER.view: 0, TEXT.view: 0}
    for recipe in POOLED:
        assert gc(store.table(recipe.view), grace_s=0)
    assert materialize(store).rows == {SPEAKER.view: 0, TEXT.view: 0}
    assert materialize(store, full=True).rows == {SPEAKER.view: 3, TEXT.view: 3}
    assert looked_up(store, ["c/1", "c/2", "c/3"]) == expected(["hello there", "good bye", None])


def test_rows_that_are_merged_while_they_are_loaded_are_loaded(store, monkeypatch):
    materialize(store)
    write(store, {**TEXTS, "c/1": "hello again"})
    read = FeatureTable.history
    merged = []

    def history(table):
        between.undo()
        merged.append(compact(table))
        return read(table)

    with monkeypatch.context() as between:
        between.setattr(FeatureTable, "history", history)
        materialize(store, ["text"])
    assert merged[0].parts_before == 2
    materialize(store, ["text"])
    assert lookup(store, "text", ["c/1"])["text"].to_list() == [planted(TEXT, "hello again").tolist()]


def test_a_damaged_part_goes_to_quarantine_and_the_others_are_loaded(store):
    write(store, {**TEXTS, "c/4": "new"})
    newest = max(store.table(TEXT.view).parts())
    path = Path(store.root, "features", TEXT.view, newest)
    path.write_bytes(path.read_bytes()[:-20])
    store.close_table(TEXT.view)
    with pytest.warns(QuarantineWarning, match=newest):
        materialize(store)
    assert lookup(store, ["text"], ["c/1", "c/4"])["text"].to_list() == [
        planted(TEXT, "hello").tolist(),
        None,
    ]


def test_a_part_that_gc_takes_while_feast_reads_is_looked_for_once_more(store, monkeypatch):
    write(store, {**TEXTS, "c/1": "hello there"})
    compact(store.table(TEXT.view))
    materialize(store, ["speaker"])
    from feast import FeatureStore

    load = FeatureStore.materialize

    def interrupted(feast, *arguments, **options):
        if gc(store.table(TEXT.view), grace_s=0):
            raise OSError("No files found that match the pattern")
        load(feast, *arguments, **options)

    monkeypatch.setattr(FeatureStore, "materialize", interrupted)
    assert materialize(store, ["text"]).rows == {TEXT.view: 3}
    assert lookup(store, ["text"], ["c/1"])["text"].to_list() == expected(["hello there"])["text"]


def test_what_feast_can_not_load_is_told_and_loaded_the_next_time(store, monkeypatch):
    from feast import FeatureStore

    with monkeypatch.context() as broken:
        broken.setattr(FeatureStore, "materialize", lambda *arguments, **options: 1 / 0)
        with pytest.raises(BadInputError, match=f"Feast could not load {TEXT.view}: division"):
            materialize(store, ["text"])
    assert materialize(store, ["text"]).rows == {TEXT.view: 3}


def test_a_view_without_rows_is_loaded_as_such(tmp_path):
    store = make_store(tmp_path, {}, [TEXT])
    assert store.table(TEXT.view).parts() == []
    assert materialize(store).rows == {TEXT.view: 0}
    assert lookup(store, ["text"], ["c/1"])["text"].to_list() == [None]
    write(store, {"c/1": "hello"}, [TEXT])
    assert materialize(store).rows == {TEXT.view: 1}
    assert lookup(store, ["text"], ["c/1"])["text"].to_list() == [planted(TEXT, "hello").tolist()]


def test_what_can_not_be_looked_up_is_told_with_what_to_do(store):
    with pytest.raises(
        BadInputError, match=rf"{TEXT.view} is not in the online store: run `affectstore materialize"
    ):
        lookup(store, ["text"], ["c/1"])
    materialize(store, ["text"])
    with pytest.raises(BadInputError, match=f"{SPEAKER.view} is not in the online store"):
        lookup(store, ["text", "speaker"], ["c/1"])
    with pytest.raises(BadInputError, match=f"{STEPS.view} holds sequences"):
        lookup(store, ["text_steps"], ["c/1"])
    with pytest.raises(BadInputError, match=f"{STEPS.view} holds sequences"):
        materialize(store, ["text_steps"])
    with pytest.raises(UnknownNameError, match=r"'face'; allowed: .*speaker.*text"):
        lookup(store, ["face"], ["c/1"])


@pytest.mark.parametrize("lost", [["online.db"], ["registry.db"], ["online.db", "registry.db"]])
def test_what_was_lost_of_feast_is_made_anew(store, lost):
    materialize(store)
    for name in lost:
        Path(store.root, "feast", name).unlink()
    with pytest.raises(BadInputError, match="run `affectstore materialize"):
        lookup(store, ["text"], ["c/1"])
    assert materialize(store).rows == {SPEAKER.view: 3, TEXT.view: 3}
    assert looked_up(store, ["c/1"]) == expected(["hello"])


def test_a_lost_online_store_answers_nobody_until_all_of_it_is_loaded_again(store, monkeypatch):
    materialize(store)
    Path(store.root, "feast", "online.db").unlink()

    def killed(*_, **__):
        raise OSError("killed")

    with monkeypatch.context() as broken:
        broken.setattr(type(open_feast(store).provider.online_store), "online_write_batch", killed)
        with pytest.raises(BadInputError, match="killed"):
            materialize(store, ["text"])
    with pytest.raises(BadInputError, match="is not in the online store"):
        lookup(store, "text", ["c/1"])
    assert materialize(store, ["text"]).rows == {TEXT.view: 3}
    assert lookup(store, "text", ["c/1"])["text"].to_list() == [planted(TEXT, "hello").tolist()]


def test_erased_values_are_in_no_byte_of_the_online_store_and_do_not_come_back(store):
    materialize(store)
    database = Path(store.root, "feast", "online.db")
    secrets = [planted(recipe, "hello").astype("<f4").tobytes() for recipe in POOLED]
    assert all(secret in database.read_bytes() for secret in secrets)
    erase_online(store, ["c/1", "c/unknown"])
    assert not any(secret in database.read_bytes() for secret in secrets)
    assert looked_up(store, ["c/1", "c/2"]) == expected([None, "good bye"])


@pytest.mark.parametrize("registry", ["there", "lost"])
def test_a_forgotten_utterance_leaves_the_online_store_for_good(store, registry):
    materialize(store)
    write(store, {**TEXTS, "c/1": "hello again"})  # the first value was replaced, not erased
    materialize(store)
    if registry == "lost":
        Path(store.root, "feast", "registry.db").unlink()
    forget(store, ["c/1"])
    secrets = [planted(recipe, text).tobytes() for recipe in POOLED for text in ("hello", "hello again")]
    files = [path for path in Path(store.root).rglob("*") if path.is_file()]
    assert not [path for path in files if any(secret in path.read_bytes() for secret in secrets)]
    materialize(store)
    assert looked_up(store, ["c/1", "c/2"]) == expected([None, "good bye"])


def test_an_online_store_is_loaded_with_what_another_one_got_meanwhile(store, tmp_path, monkeypatch):
    materialize(store)
    other = tmp_path / "other.yaml"
    other.write_text(PACKAGED.read_text().replace("feast/online.db", "feast/other.db"))
    monkeypatch.setenv("FEAST_FS_YAML_FILE_PATH", str(other))
    write(store, {**TEXTS, "c/1": "hello again"})
    materialize(store)
    monkeypatch.delenv("FEAST_FS_YAML_FILE_PATH")
    materialize(store)
    assert looked_up(store, ["c/1"]) == expected(["hello again"])


def test_what_is_forgotten_leaves_the_file_of_an_earlier_configuration(store, tmp_path, monkeypatch):
    materialize(store)
    text = PACKAGED.read_text().replace("feast/online.db", "feast/other.db")
    other = tmp_path / "other.yaml"
    other.write_text(text)
    monkeypatch.setenv("FEAST_FS_YAML_FILE_PATH", str(other))
    materialize(store)
    forget(store, ["c/1"])
    secrets = [planted(recipe, "hello").tobytes() for recipe in POOLED]
    files = [path for path in Path(store.root).rglob("*") if path.is_file()]
    assert not [path for path in files if any(secret in path.read_bytes() for secret in secrets)]
    assert lookup(store, "text", ["c/2"])["text"].to_list() == [planted(TEXT, "good bye").tolist()]
    monkeypatch.delenv("FEAST_FS_YAML_FILE_PATH")
    materialize(store)
    assert looked_up(store, ["c/1", "c/2"]) == expected([None, "good bye"])


def test_other_online_stores_are_overwritten_with_nulls(store, monkeypatch):
    materialize(store)
    # Erasure may use nothing but Feast's own interface then.
    monkeypatch.setattr("feature_repo.serving.online_backend.is_in_sqlite", lambda feast: False)
    erase_online(store, ["c/1"])
    assert looked_up(store, ["c/1", "c/2"]) == expected([None, "good bye"])


def test_planted_numbers_are_what_the_parts_hold(store):
    # The expectation of this file, read from the Parquet files without the store's code.
    part = pl.read_parquet(f"{store.root}/features/{TEXT.view}/part-*.parquet")
    row = part.filter(pl.col("utterance_id") == "c/2")["text"].item().to_numpy()
    np.testing.assert_array_equal(row, planted(TEXT, "good bye"))
