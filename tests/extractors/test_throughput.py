from extractors import throughput
from extractors.throughput import past_rates, remember


def test_little_is_not_worth_remembering():
    remember("few", 3, 1.0)
    remember("instant", 1000, 0.0)
    remember("enough", 100, 2.0)
    assert past_rates() == {"enough": 50.0}


def test_the_last_measurement_counts():
    remember("a", 100, 2.0)
    remember("b", 100, 1.0)
    remember("a", 100, 4.0)
    assert past_rates() == {"a": 25.0, "b": 100.0}


def test_a_damaged_record_is_no_record():
    remember("a", 100, 2.0)
    for text in ("{ half", "[1, 2]", '{"a": "fast"}'):
        (throughput.cache_folder() / "throughput.json").write_text(text)
        assert past_rates() == {}
    remember("b", 100, 2.0)
    assert past_rates() == {"b": 50.0}


def test_a_cache_that_can_not_be_written_is_no_error(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("AFFECTSTORE_CACHE", str(tmp_path / "file"))
    remember("a", 100, 2.0)
    assert past_rates() == {}
