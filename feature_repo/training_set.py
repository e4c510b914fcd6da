"""A training set: aligned features, labels and what is known of each utterance, as ``pull`` gives it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from feature_repo.archive import write_archive
from feature_repo.steps import Steps

if TYPE_CHECKING:
    import torch

Pooled = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Coverage:
    """How many of the asked utterances are in each state in one view; the states add up to ``asked``.

    Attributes:
        asked: utterances that were asked for.
        present: the stored value is of what the manifest says now.
        nothing: so it is, and it says that there is nothing to embed.
        stale: a value is stored, of an older content.
        missing: not computed yet.
        faulted: computing it failed; the fault ledger says why.
        inapplicable: the recipe asks nothing of the utterance (no such medium, another language).
    """

    asked: int
    present: int
    nothing: int
    stale: int
    missing: int
    faulted: int
    inapplicable: int


@dataclass(frozen=True)
class AppliedVerdict:
    """The named verdict that chose a training set's utterances.

    Attributes:
        name: its name.
        thresholds: key to value.
        checks: corpus to the checks that decided in it.
        ids: SHA-256 of all ids that passed, asked for or not.
        passed: how many of the asked utterances passed.
        removed: how many of the asked utterances did not, by reason; ``not_judged`` for those that it says nothing of.
    """

    name: str
    thresholds: Mapping[str, float]
    checks: Mapping[str, Sequence[str]]
    ids: str
    passed: int
    removed: Mapping[str, int]

    def identity(self) -> dict[str, Any]:
        """What decides which utterances it lets through, as plain JSON data."""
        return {
            "name": self.name,
            "thresholds": dict(self.thresholds),
            "checks": {corpus: list(checks) for corpus, checks in self.checks.items()},
            "ids": self.ids,
        }


@dataclass(frozen=True)
class TrainingSet:
    """What a pull gives: rows in one order everywhere.

    A slot is what a modality is called (``text``, ``text_steps``), or its alias. The same numbers come as arrays
    (:meth:`numpy`), tensors (:meth:`tensors`), in batches for a ``DataLoader`` (:meth:`batch`), as a Polars frame
    (:meth:`to_polars`), as an Arrow table (:meth:`to_arrow`) and as a file (:meth:`save_npz`).

    Attributes:
        ids: utterance ids.
        features: by slot, float32 ``[rows, width]`` for pooled views, zeros where absent; a :class:`Steps` for
            sequences.
        present: by slot, bool ``[rows]``: whether there is a value.
        labels: int64 ``[rows]``, index into ``classes``; -1 where the label scheme has no place for the utterance.
        classes: class names.
        manifest: the utterances' manifest rows.
        views: by slot, the view.
        fingerprints: by slot, the fingerprint of the view's recipe.
        content_keys: by slot, the content key of the stored row; null where none was joined.
        coverage: by slot, what became of the asked utterances, those that an inner join left out included; those that
            a verdict removed are not asked for.
        verdict: the named verdict that was applied, if any; a pull by dialogue keeps what it removed as context.
    """

    ids: list[str]
    features: Mapping[str, Pooled | Steps]
    present: Mapping[str, npt.NDArray[np.bool_]]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    manifest: pl.DataFrame
    views: Mapping[str, str]
    fingerprints: Mapping[str, str]
    content_keys: Mapping[str, pl.Series]
    coverage: Mapping[str, Coverage]
    verdict: AppliedVerdict | None = None

    def __len__(self) -> int:
        """Utterances."""
        return len(self.ids)

    @property
    def pooled(self) -> dict[str, Pooled]:
        """The slots that are whole arrays."""
        return {slot: value for slot, value in self.features.items() if not isinstance(value, Steps)}

    @property
    def steps(self) -> dict[str, Steps]:
        """The slots that are lazy sequences."""
        return {slot: value for slot, value in self.features.items() if isinstance(value, Steps)}

    def __repr__(self) -> str:
        """How many utterances and how wide each slot is; the numbers themselves would fill a notebook."""
        slots = ", ".join(
            f"{slot} [n, {value.width}]" if isinstance(value, Steps) else f"{slot} [{value.shape[1]}]"
            for slot, value in self.features.items()
        )
        judged = f"; verdict {self.verdict.name}" if self.verdict else ""
        return f"TrainingSet({len(self):,} utterances; {slots}; {len(self.classes)} classes{judged})"

    def numpy(self) -> dict[str, npt.NDArray[Any]]:
        """The whole arrays by name: each pooled slot, ``<slot>_present`` of every slot, and ``labels``.

        Sequences stay lazy: see :meth:`Steps.gather` and :meth:`batch`.
        """
        arrays: dict[str, npt.NDArray[Any]] = dict(self.pooled)
        arrays |= {f"{slot}_present": mask for slot, mask in self.present.items()}
        return arrays | {"labels": self.labels}

    def tensors(self, device: str | torch.device = "cpu") -> dict[str, torch.Tensor]:
        """:meth:`numpy` as tensors; on the CPU they share the arrays' memory."""
        import torch  # takes seconds; a pull to NumPy needs none of it

        return {name: torch.from_numpy(array).to(device) for name, array in self.numpy().items()}

    def batch(self, rows: npt.ArrayLike, device: str | torch.device = "cpu") -> dict[str, torch.Tensor]:
        """Some rows as tensors; sequences are read now, padded to the longest of them, with ``<slot>_mask`` ``[b, n]``.

        It is the ``collate_fn`` of a PyTorch loader: ``DataLoader(range(len(data)), 32, collate_fn=data.batch)``.

        Args:
            rows: integers ``[b]``, in any order, repeated as wanted.
            device: where the tensors shall be.

        Returns:
            The names of :meth:`numpy`, with ``[b, n, width]`` for each sequence and its mask.

        Raises:
            IndexError: a row that is not there.
        """
        import torch  # takes seconds; a pull to NumPy needs none of it

        chosen = np.asarray(rows, np.int64)
        batch = {name: torch.from_numpy(array[chosen]).to(device) for name, array in self.numpy().items()}
        for slot, steps in self.steps.items():
            batch[slot], batch[f"{slot}_mask"] = steps.gather(chosen, device=device)
        return batch

    def to_arrow(self) -> pa.Table:
        """Everything as one table: ``utterance_id``, ``label``, then a column per slot; null where there is none.

        A pooled slot is a list of float32, a sequence a list of lists of its dtype; sequences are read whole.
        """
        names = pa.array([*self.classes], pa.string())
        chosen = pa.array(self.labels, mask=self.labels < 0)
        columns: dict[str, Any] = {
            "utterance_id": pa.array(self.ids, pa.string()),
            "label": names.take(chosen),
        }
        for slot, value in self.features.items():
            absent = ~self.present[slot]
            if isinstance(value, Steps):
                flat, offsets = value.flat()
                items = pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), value.width)
            else:
                items = pa.array(value.reshape(-1))
                offsets = np.arange(len(value) + 1, dtype=np.int64) * value.shape[1]
            columns[slot] = pa.LargeListArray.from_arrays(pa.array(offsets), items, mask=pa.array(absent))
        return pa.table(columns)

    def to_polars(self) -> pl.DataFrame:
        """:meth:`to_arrow` as a Polars frame."""
        return pl.DataFrame(pl.from_arrow(self.to_arrow()))

    def snapshot(self) -> str:
        """SHA-256 of what the numbers depend on: ids and their order, content keys, fingerprints, labels, classes.

        Two sets with one snapshot hold the same numbers; a run is filed under it.
        """
        state = hashlib.sha256()
        head = {"fingerprints": dict(self.fingerprints), "classes": self.classes, "rows": len(self.ids)}
        state.update(json.dumps(head, sort_keys=True).encode())
        _hash_strings(state, self.ids)
        for slot in sorted(self.content_keys):
            _hash_strings(state, (key or "" for key in self.content_keys[slot]))
        state.update(np.ascontiguousarray(self.labels, "<i8").tobytes())
        return state.hexdigest()

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What :meth:`save_npz` writes, by name; sequences are read whole."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "ids": np.array(self.ids, dtype=np.str_),
            "labels": self.labels,
            "classes": np.array(self.classes, dtype=np.str_),
            "snapshot": np.array(self.snapshot()),
        }
        for slot, value in self.features.items():
            if isinstance(value, Steps):
                arrays[slot], arrays[f"{slot}_offsets"] = value.flat()
            else:
                arrays[slot] = value
            arrays[f"{slot}_present"] = self.present[slot]
            keys = self.content_keys[slot].fill_null("").to_list()
            arrays[f"{slot}_content_key"] = np.array(keys, dtype=np.str_)
        return arrays

    def save_npz(self, path: str | Path) -> None:
        """Write a NumPy archive that ``np.load`` reads without pickle.

        It holds ``ids``, ``labels``, ``classes``, ``snapshot``, and by slot ``<slot>``, ``<slot>_present`` and
        ``<slot>_content_key``. A sequence is ``[sum of n, width]`` with ``<slot>_offsets`` int64 ``[rows + 1]``.

        Raises:
            StoreWriteError: the file can't be written; an older one is as it was.
        """
        write_archive(path, self.arrays())


def _hash_strings(state: Any, values: Iterable[str]) -> None:
    # Lengths first: they tell where one string ends and the next begins.
    encoded = [value.encode("utf-8", "surrogatepass") for value in values]
    state.update(np.array([len(value) for value in encoded], "<i8").tobytes())
    state.update(b"".join(encoded))
