"""How the figures look: one palette, one font, the same bytes for the same numbers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Okabe and Ito's palette, which colour-blind readers tell apart (jfly.uni-koeln.de/color).
BLUE, ORANGE, GREEN, VERMILION = "#0072B2", "#E69F00", "#009E73", "#D55E00"
SKY, PURPLE, YELLOW, BLACK, GREY = "#56B4E9", "#CC79A7", "#F0E442", "#000000", "#999999"
SERIES = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION, YELLOW, GREY)
THRESHOLD = VERMILION
# Reason of a removal -> colour, the same in every figure; reasons of one check are of one family.
REASON_COLOURS: Mapping[str, str] = {
    "composite": BLUE,
    "offscreen": PURPLE,
    "misaligned": "#8E4A75",
    "undecodable": "#A6761D",
    "silent": ORANGE,
    "no_transcript": "#B8AE1E",
    "empty_transcript": YELLOW,
    "cosine": SKY,
    "levenshtein": "#2C5F7C",
    "no_picture": "#666666",
    "no_face": VERMILION,
    "no_reference": "#F4A582",
    "no_match": GREEN,
    "unmeasured": "#C8C8C8",
}

_STYLE: Mapping[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "svg.hashsalt": "affectstore",  # else each file has ids of its own
    "svg.fonttype": "path",
}

# What a file would say of when and by what it was drawn, left out: the same numbers are the same bytes.
_METADATA: Mapping[str, Mapping[str, None]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


@contextmanager
def styled() -> Iterator[None]:
    """The style, for figures that are made within; matplotlib's own settings are put back after."""
    import matplotlib  # takes a third of a second

    style: Any = dict(_STYLE)  # matplotlib's own type is the list of all its settings' names
    with matplotlib.rc_context(style):
        yield


def new_figure(width: float, height: float) -> Any:
    """An empty figure of so many inches that belongs to no window and to no global state."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # loads matplotlib's renderer
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save(figure: Any, path: Path, suffixes: Sequence[str] = ("png", "svg")) -> list[Path]:
    """Write the figure, by default as PNG for the screen and as SVG for print; returns the paths.

    Args:
        figure: of :func:`new_figure`.
        path: without a suffix.
        suffixes: of ``png``, ``svg`` and ``pdf``.
    """
    written = []
    for suffix in suffixes:
        target = path.with_name(f"{path.name}.{suffix}")
        figure.savefig(target, metadata=_METADATA[suffix])
        written.append(target)
    return written
