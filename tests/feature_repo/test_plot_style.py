"""The look is the project's within its block only, and a figure's file depends on its numbers alone."""

from pathlib import Path

from feature_repo.plot_style import SERIES, new_figure, save, styled


def drawn(folder: Path, kinds: list[str]) -> list[Path]:
    folder.mkdir()
    with styled():
        figure = new_figure(2, 1)
        axes = figure.subplots()
        axes.plot([1, 2], [3, 4], color=SERIES[0])
        axes.set(title="twice")
        return save(figure, folder / "figure", kinds)


def test_each_kind_is_the_same_bytes_again(tmp_path: Path) -> None:
    kinds = ["png", "svg", "pdf"]
    first, second = drawn(tmp_path / "a", kinds), drawn(tmp_path / "b", kinds)
    assert [path.name for path in first] == ["figure.png", "figure.svg", "figure.pdf"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert [path.read_bytes()[:4] for path in first] == [b"\x89PNG", b"<?xm", b"%PDF"]


def test_the_users_own_settings_are_put_back() -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    with styled():
        assert matplotlib.rcParams["svg.hashsalt"] == "affectstore"
    assert dict(matplotlib.rcParams) == before


def test_no_figure_is_left_in_matplotlibs_global_state(tmp_path: Path) -> None:
    import matplotlib.pyplot

    drawn(tmp_path / "a", ["png"])
    assert matplotlib.pyplot.get_fignums() == []
