import io

import pytest

from feature_repo.console import Table, _Console

VIEW = "speaker_resemblyzer_7fecb39c"


def shown(width: int | None, *, terminal: bool = False) -> list[str]:
    file = io.StringIO()
    table = Table("view", "what happened", title="Coverage")
    for name in ("present", "missing", "faulted", "stale"):
        table.add_column(name, justify="right")
    table.add_row(VIEW, "a sentence of several words " * 2, *["1,234"] * 4)
    _Console(file=file, width=width, force_terminal=terminal, color_system=None).print(table)
    return file.getvalue().splitlines()


def test_a_narrow_terminal_wraps_prose_and_keeps_names_whole() -> None:
    lines = shown(80, terminal=True)
    assert max(map(len, lines)) <= 80
    assert any(VIEW in line for line in lines)
    assert sum("sentence" in line for line in lines) > 1
    assert "…" not in "".join(lines)


def test_a_terminal_narrower_than_a_name_folds_it() -> None:
    lines = shown(60, terminal=True)
    assert max(map(len, lines)) <= 60
    assert "…" not in "".join(lines)


def test_a_pipe_gets_whole_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    (row,) = [line for line in shown(None) if VIEW in line]
    assert row.count("1,234") == 4
    assert row.count("sentence") == 2


def test_columns_from_the_environment_count_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    assert max(map(len, shown(None))) <= 90


def test_columns_that_change_after_the_start_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    console = _Console(file=io.StringIO())
    monkeypatch.setenv("COLUMNS", "90")
    assert console.size.width == 90
