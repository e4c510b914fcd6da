"""Scores of a classifier from its confusion matrix, averaged over the classes that the test set has."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Shares = npt.NDArray[np.float64]


def confusion_matrix(true: npt.ArrayLike, predicted: npt.ArrayLike, classes: int) -> Counts:
    """Counts ``[true class, predicted class]``.

    Args:
        true: class indices ``[rows]``, each from 0 to below ``classes``.
        predicted: class indices ``[rows]``.
        classes: number of classes.

    Raises:
        ValueError: shapes that differ, or an index outside the classes.
    """
    rows, columns = np.asarray(true, np.int64), np.asarray(predicted, np.int64)
    if rows.shape != columns.shape or rows.ndim != 1:
        raise ValueError(
            f"true {rows.shape} and predicted {columns.shape} must be one-dimensional and equally long"
        )
    for name, values in (("true", rows), ("predicted", columns)):
        if values.size and (values.min() < 0 or values.max() >= classes):
            raise ValueError(
                f"{name} has class {values.min()} to {values.max()}; allowed: 0 to {classes - 1}"
            )
    return np.bincount(rows * classes + columns, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True)
class Scores:
    """Scores of one set of predictions; every mean is over the classes present in the truth.

    A class that no row has can't be recalled; counting it as 0 would punish a fold for what it lacks, so it enters
    no mean (as scikit-learn does when given ``labels=present``). A class that is never predicted has precision 0.

    Attributes:
        confusion: counts ``[true class, predicted class]``.
        classes: names of the classes, in the matrix's order.
    """

    confusion: Counts
    classes: tuple[str, ...]

    @property
    def support(self) -> Counts:
        """Rows per true class."""
        rows: Counts = self.confusion.sum(axis=1)
        return rows

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Which classes the truth has."""
        return self.support > 0

    @property
    def recall(self) -> Shares:
        """Per class, the share of its rows that were found; NaN for a class that is absent."""
        return np.where(self.present, _ratio(np.diag(self.confusion), self.support), np.nan)

    @property
    def precision(self) -> Shares:
        """Per class, the share of its predictions that were right; NaN for a class that is absent."""
        return np.where(self.present, _ratio(np.diag(self.confusion), self.confusion.sum(axis=0)), np.nan)

    @property
    def f1(self) -> Shares:
        """Per class, twice the hits over rows and predictions together; NaN for a class that is absent."""
        both = self.support + self.confusion.sum(axis=0)
        return np.where(self.present, _ratio(2 * np.diag(self.confusion), both), np.nan)

    @property
    def accuracy(self) -> float:
        """Share of rows predicted right; NaN without rows."""
        rows = self.support.sum()
        return float(np.diag(self.confusion).sum() / rows) if rows else float("nan")

    @property
    def weighted_f1(self) -> float:
        """Mean F1 weighted by the classes' rows: the papers' headline."""
        if not self.present.any():
            return float("nan")
        return float(np.average(self.f1[self.present], weights=self.support[self.present]))

    @property
    def macro_f1(self) -> float:
        """Mean F1 over the classes present."""
        return float(self.f1[self.present].mean()) if self.present.any() else float("nan")

    @property
    def uar(self) -> float:
        """Unweighted average recall over the classes present."""
        return float(self.recall[self.present].mean()) if self.present.any() else float("nan")

    def summary(self) -> dict[str, float]:
        """The four scores by name."""
        return {name: getattr(self, name) for name in ("accuracy", "weighted_f1", "macro_f1", "uar")}

    def per_class(self) -> dict[str, dict[str, float]]:
        """Recall, precision, F1 and rows of each class that is present."""
        return {
            name: {
                "recall": float(self.recall[index]),
                "precision": float(self.precision[index]),
                "f1": float(self.f1[index]),
                "support": int(self.support[index]),
            }
            for index, name in enumerate(self.classes)
            if self.present[index]
        }


def score(true: npt.ArrayLike, predicted: npt.ArrayLike, classes: Sequence[str]) -> Scores:
    """Scores of predictions ``[rows]`` against the truth ``[rows]``, both class indices.

    Raises:
        ValueError: shapes that differ, or an index outside the classes.
    """
    return Scores(confusion_matrix(true, predicted, len(classes)), tuple(classes))


def _ratio(above: Counts, below: Counts) -> Shares:
    return np.divide(above, below, out=np.zeros(above.shape), where=below > 0)
