"""Where a run's tuned encoders lie: a folder of the store each, such as extractors take for a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from feature_repo.errors import BadInputError
from trainers.runs.learned_weights import MODELS, note_weights

if TYPE_CHECKING:
    from feature_repo.store import Store
    from trainers.end_to_end.model import EndToEndModel


def check_keeps_folders(store: Store) -> None:
    """Refuse a store in which no folder of a model can lie, before anything is trained.

    Raises:
        BadInputError: an object store.
    """
    if store.files.local_path(MODELS) is None:
        raise BadInputError(
            f"{store.root} is no local folder, and a model is kept in one; allowed there: --set encoders=frozen, or a"
            " store in a local folder"
        )


def keep_encoders(store: Store, model: EndToEndModel, run: str) -> dict[str, Mapping[str, str]]:
    """Write a model's tuned encoders below the store's root, and note which run their weights were learned in.

    Args:
        store: in a local folder.
        model: whose encoders were tuned.
        run: key of the run.

    Returns:
        By slot the ``folder``, relative to the store's root, and the digest of its ``weights``.
    """
    from trainers.end_to_end.encoder_pair import save_encoder  # the encoders' modules

    kept: dict[str, Mapping[str, str]] = {}
    for slot, module in model.encoders.items():
        place = f"{MODELS}/{run}/{slot}"
        folder = store.files.local_path(place)
        assert folder is not None, "check_keeps_folders() comes first"
        written = save_encoder(module, model.found[slot], folder)
        note_weights(store.files, written.digest, run)
        kept[slot] = {"folder": place, "weights": written.digest}
    return kept
