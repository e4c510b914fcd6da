"""Many clients at once get right answers, and errors alone while the online store is dead."""

import pytest

from feature_repo.feast_import import import_feast
from tests.benchmarks.bench_serving_load import load, loaded


@pytest.mark.long
@pytest.mark.parametrize("kind", ["redis", "postgres"])
def test_twenty_clients_get_right_answers_and_errors_when_the_database_is_killed(
    kind, tmp_path, monkeypatch, request
):
    request.getfixturevalue(f"{kind}_server")  # skips where there is none
    monkeypatch.setenv("BENCH_PASSWORD", "set by the bench")
    import_feast()
    with loaded(kind, tmp_path, 200, 64, 2) as (port, database, known):
        found = load(port, known, 20, 5)
        assert len(found.right) > 20
        assert not found.others
        database.kill()
        dead = load(port, known, 20, 3)
        assert not dead.right
        assert set(dead.others) == {"error 503"}
        database.restart()
        again = load(port, known, 20, 3)
        assert again.right
        assert not again.others
