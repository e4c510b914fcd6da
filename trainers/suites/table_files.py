"""A suite's tables as files: Markdown and LaTeX (booktabs) as they are printed, CSV with every digit."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from feature_repo.errors import BadInputError
from trainers.suites.grid import Grid
from trainers.suites.suite_report import HeldOut, Row, SuiteReport
from trainers.suites.suite_results import SCORES

SUFFIXES = (".md", ".tex", ".csv")
_TEX = {
    "\\": r"\textbackslash{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "–": "--",
    "≤": r"$\leq$",
    "×": r"$\times$",
    "[": "{[}",  # at a row's beginning it would be an argument of the row before
}
_CSV = (
    *("variant", "selection", "held_out", "seeds", "rows", "score", "mean", "deviation", "low", "high"),
    *("paper", "against", "difference", "difference_low", "difference_high", "p", "relative_percent"),
    "stand_ins",
)


def check_table_paths(paths: Sequence[Path]) -> None:
    """Refuse a file whose ending names no kind of table, before anything is trained.

    Raises:
        BadInputError: such a file, or a folder that does not exist.
    """
    for path in paths:
        if path.suffix.lower() not in SUFFIXES:
            raise BadInputError(f"--table {path}: allowed: names that end in {', '.join(SUFFIXES)}")
        if not path.expanduser().absolute().parent.is_dir():
            raise BadInputError(f"--table {path}: there is no folder {path.parent}")


def write_tables(report: SuiteReport, grids: Sequence[Grid], notes: Sequence[str], path: Path) -> Path:
    """Write the tables as the file's ending says.

    Args:
        report: the numbers, for CSV.
        grids: the tables in words, for the others.
        notes: below them, a sentence each.
        path: ends in ``.md``, ``.tex`` or ``.csv``; a file that is there is replaced.

    Raises:
        BadInputError: another ending, or the file can't be written.
    """
    check_table_paths([path])
    kind = path.suffix.lower()
    made = {".md": _markdown, ".tex": _latex}
    text = _csv(report) if kind == ".csv" else made[kind](grids, notes)
    target = path.expanduser()
    try:
        target.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise BadInputError(f"{target} can't be written: {error.strerror}") from error
    return target


def _markdown(grids: Sequence[Grid], notes: Sequence[str]) -> str:
    lines = []
    for grid in grids:
        lines += [f"### {_plain(grid.title)}", ""]
        lines.append(_piped(grid.columns))
        lines.append(_piped(["---", *["---:"] * (len(grid.columns) - 1)]))
        for number, row in enumerate(grid.rows):
            lines.append(_piped([f"**{cell}**" if cell and number in grid.strong else cell for cell in row]))
        lines.append("")
    lines += [f"- {_plain(note)}" for note in notes]
    return "\n".join(lines).rstrip() + "\n"


def _piped(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_plain(cell).replace("|", "\\|") for cell in cells) + " |"


def _plain(text: str) -> str:
    # A mark of a stand-in is no emphasis.
    return text.replace(" *", " \\*") if text.count("*") % 2 else text


def _latex(grids: Sequence[Grid], notes: Sequence[str]) -> str:
    lines = [r"% needs \usepackage{booktabs}"]
    for place, grid in enumerate(grids):
        last = place == len(grids) - 1
        lines += [
            r"\begin{table}[tb]",
            r"  \centering\small",
            rf"  \caption{{{tex(grid.title)}}}",
            rf"  \begin{{tabular}}{{l{'r' * (len(grid.columns) - 1)}}}",
            r"    \toprule",
            f"    {_ampersands(grid.columns)}",
            r"    \midrule",
        ]
        for number, row in enumerate(grid.rows):
            if number in grid.rules and number:
                lines.append(r"    \midrule")
            lines.append(f"    {_ampersands(row, strong=number in grid.strong)}")
        lines += [r"    \bottomrule", r"  \end{tabular}"]
        if last:
            lines += [rf"  \par\footnotesize {tex(note)}" for note in notes]
        lines += [r"\end{table}", ""]
    return "\n".join(lines)


def _ampersands(cells: Sequence[str], *, strong: bool = False) -> str:
    told = [rf"\textbf{{{tex(cell)}}}" if strong and cell else tex(cell) for cell in cells]
    return " & ".join(told) + r" \\"


def tex(text: str) -> str:
    """The text with everything escaped that LaTeX would read otherwise."""
    return "".join(_TEX.get(letter, letter) for letter in text)


def _csv(report: SuiteReport) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, _CSV, restval="", lineterminator="\n")
    writer.writeheader()
    for table in report.tables:
        first = table.rows[0].variant if table.rows else ""
        for row in table.rows:
            writer.writerows({"selection": table.selection or "", **line} for line in _lines(row, first))
    for each in report.held_out:
        writer.writerows(_held_out_lines(each))
    return buffer.getvalue()


def _lines(row: Row, first: str) -> list[dict[str, Any]]:
    lines = []
    for score in SCORES:
        reached = row.reached[score]
        line: dict[str, Any] = {
            "variant": row.variant,
            "seeds": row.seeds,
            "rows": row.rows,
            "score": score,
            "mean": reached.mean,
            "deviation": _or_empty(reached.deviation),
            "low": _or_empty(reached.low),
            "high": _or_empty(reached.high),
            "paper": _or_empty(row.paper.get(score)),
            "stand_ins": " ".join(row.stand_ins),
        }
        if row.against is not None and not isinstance(row.against, str):
            told = row.against[score]
            line |= {
                "against": first,
                "difference": told.difference,
                "difference_low": told.low,
                "difference_high": told.high,
                "p": told.p,
                "relative_percent": _or_empty(row.relative(score)),
            }
        lines.append(line)
    return lines


def _held_out_lines(each: HeldOut) -> list[dict[str, Any]]:
    lines = []
    means = [("mean over corpora", each.mean)] if each.mean is not None else []
    for corpus, reached in [*each.corpora.items(), *means]:
        for score in SCORES:
            lines.append(
                {
                    "variant": each.variant,
                    "held_out": corpus,
                    "rows": each.rows.get(corpus, ""),
                    "score": score,
                    "mean": reached[score].mean,
                    "deviation": _or_empty(reached[score].deviation),
                }
            )
    return lines


def _or_empty(value: float | None) -> float | str:
    return "" if value is None else value
