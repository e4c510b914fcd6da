"""Terms travel with the manifest, through forgetting and ingesting again."""

import polars as pl

from feature_repo.store import init_store
from feature_repo.terms import NOT_RECORDED, Terms

ROWS = pl.DataFrame({"utterance_id": ["c/1", "c/2"], "text": ["one", "two"]})


def test_a_manifest_keeps_the_terms_that_came_with_it(tmp_path):
    store = init_store(str(tmp_path / "store"))
    store.write_manifest("c", ROWS, terms=Terms("CC BY-NC 4.0", redistributable=False))
    assert store.manifests.terms("c") == Terms("CC BY-NC 4.0", False)
    store.manifests.forget(["c/1"])
    assert store.manifest()["utterance_id"].to_list() == ["c/2"]
    assert store.manifests.terms("c").redistributable is False
    store.write_manifest("c", ROWS.with_columns(text=pl.lit("other")))
    assert store.manifests.terms("c").licence == "CC BY-NC 4.0"


def test_a_manifest_of_before_terms_were_kept_says_so_until_it_is_ingested_again(tmp_path):
    store = init_store(str(tmp_path / "store"))
    store.write_manifest("c", ROWS)
    path = tmp_path / "store" / "manifest" / "c.parquet"
    pl.read_parquet(path).write_parquet(path, metadata={"affectstore.generation": "4"})
    assert store.manifests.terms("c") == Terms(NOT_RECORDED, None)
    report = store.write_manifest("c", ROWS, terms=Terms("open", True))
    assert (report.changed, report.generation) == (0, 5)
    assert store.manifests.terms("c") == Terms("open", True)
    assert store.write_manifest("c", ROWS, terms=Terms("open", True)).generation == 5


def test_what_is_not_terms_counts_as_not_recorded():
    for data in (None, [], {"licence": 3}, "open"):
        assert Terms.from_data(data) == Terms()
    assert Terms.from_data({"licence": "x", "redistributable": "yes"}) == Terms("x", None)
    assert Terms.from_data(Terms("x", True).as_data()) == Terms("x", True)
