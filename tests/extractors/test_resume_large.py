"""A hundred thousand utterances, killed half way and resumed: nothing is lost, doubled or another's."""

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from feature_repo.fill import FLUSH_ROWS
from feature_repo.store import init_store, open_store
from tests.benchmarks.bench_million import WIDTH, drawn, run_stage, text_of

ROWS = 100_000


@pytest.mark.long
def test_a_large_extraction_is_resumed_after_a_kill(tmp_path):
    root, cache = str(tmp_path / "store"), str(tmp_path / "cache")
    init_store(root, cache=cache)
    run_stage("manifest", tmp_path, ROWS, WIDTH)
    assert run_stage("plan", tmp_path, ROWS, WIDTH).result == ROWS
    assert run_stage("extract", tmp_path, ROWS, WIDTH, kill_after=1).result == "killed"
    (view,) = open_store(root).views()
    kept = open_store(root).table(view).live_keys().height
    assert 0 < kept <= FLUSH_ROWS
    assert run_stage("plan", tmp_path, ROWS, WIDTH).result == ROWS - kept
    resumed = run_stage("resume", tmp_path, ROWS, WIDTH).result
    assert resumed == {"computed": ROWS - kept, "up to date": kept}
    table = open_store(root).table(view)
    rows = pl.DataFrame(pl.from_arrow(pa.concat_tables([table.read_part(name) for name in table.parts()])))
    numbers = rows["utterance_id"].str.split("utt").list.last().cast(pl.Int64)
    assert numbers.sort().equals(pl.Series(range(ROWS)), check_names=False)
    for number, value in zip(numbers.to_list()[::97], rows["text"].to_list()[::97], strict=True):
        np.testing.assert_array_equal(np.array(value, np.float32), drawn(text_of(number), WIDTH))
    run_stage("pull", tmp_path, ROWS, WIDTH)
