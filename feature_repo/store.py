"""The store: one root with manifests, feature tables, faults and the catalogue; what every caller opens first."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Unpack, overload

from feature_repo.catalog import Catalog
from feature_repo.content import empty_live_keys, subjects, wanted_keys
from feature_repo.context import reads_other_turns
from feature_repo.errors import BadInputError, StoreFormatError, UnknownNameError
from feature_repo.faults import FaultLedger
from feature_repo.feature_table import FEATURES, FeatureTable
from feature_repo.files import FileLayer
from feature_repo.manifest_store import IngestReport, ManifestStore
from feature_repo.named_verdicts import NamedVerdicts
from feature_repo.recipe import Recipe
from feature_repo.reviews import Reviews
from feature_repo.selections import NamedSelections
from feature_repo.splits import SavedSplits

if TYPE_CHECKING:
    from collections.abc import Callable

    import polars as pl

    from feature_repo.conversations import Dialogues
    from feature_repo.pull import By, PullOptions, TrainingSet
    from feature_repo.similarity import Query, SimilarOptions
    from feature_repo.slot_requests import Slots
    from feature_repo.terms import Terms

FORMAT = 1
ROOT_VARIABLE = "AFFECTSTORE_ROOT"
CACHE_VARIABLE = "AFFECTSTORE_CACHE"
_FORMAT_FILE = "format.json"
_RECIPE_FILE = "recipe.json"


def absolute_root(root: str) -> str:
    """The root as an absolute path, or as the URL that it is; a ``file://`` URL is the path that it means."""
    root = root.removeprefix("file://")  # one store has one name: its cache and registry are found by it
    return root.rstrip("/") if "://" in root else str(Path(root).expanduser().resolve())


def init_store(root: str, *, cache: str | None = None) -> Store:
    """Make an empty store at the root, or open the one that is there.

    Raises:
        StoreFormatError: the folder holds something else, or a store of a newer format.
        StoreWriteError: the root can't be written.
    """
    files = FileLayer(absolute_root(root))
    if not files.exists(_FORMAT_FILE):
        others = [name for name in files.list_files("") + files.list_folders("") if name != "tmp"]
        if others:
            raise StoreFormatError(
                f"{files.root} is not empty and not a store (it holds {others[0]!r}); name an empty folder"
            )
        files.write(_FORMAT_FILE, json.dumps({"format": FORMAT}).encode())
    return open_store(root, cache=cache)


def open_store(root: str | None = None, *, cache: str | None = None) -> Store:
    """Open a store, to read it or to add to it; nothing is locked and nothing is read before it is asked for.

    ``open_store("~/affect").pull(["text", "speaker"])`` is all that another experiment needs. A store that one may only
    read serves as well: what is made on this machine lies in the cache.

    Args:
        root: a folder (``~/affect``) or any fsspec URL (``s3://bucket/store``, ``file:///disk/store``); None takes the
            variable ``AFFECTSTORE_ROOT``.
        cache: local folder for what can be made anew (the mirror, about as large as the views that are pulled); None
            takes ``AFFECTSTORE_CACHE`` or the user's cache folder.

    Raises:
        StoreFormatError: no root was named, it holds no store, or one of a newer format.
    """
    root = root or os.environ.get(ROOT_VARIABLE)
    if not root:
        raise StoreFormatError(f"no store was named: give --root FOLDER or set {ROOT_VARIABLE}")
    files = FileLayer(absolute_root(root))
    try:
        data = json.loads(files.read(_FORMAT_FILE))
        number = int(data["format"])
    except (FileNotFoundError, NotADirectoryError):
        raise StoreFormatError(
            f"{files.root} is not a store; make one with `affectstore init --root {root}`"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise StoreFormatError(f"{files.url(_FORMAT_FILE)} is unreadable: {error}") from error
    if number > FORMAT:
        raise StoreFormatError(
            f"{files.root} has format {number}, this version reads formats up to {FORMAT}: install a newer affectstore"
        )
    return Store(files, cache_folder(files.root, cache))


def cache_folder(root: str, cache: str | None = None) -> Path:
    """The local folder for what belongs to this store and can be made anew."""
    base = cache or os.environ.get(CACHE_VARIABLE)
    if not base:
        base = str(Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "affectstore")
    return Path(base).resolve() / hashlib.sha256(root.encode()).hexdigest()[:16]


class Store:
    """A store at one root. Use :func:`open_store`.

    Attributes:
        root: absolute folder or fsspec URL.
        cache: local folder for what can be made anew.
        files: the file layer that every write goes through.
        faults: the fault ledger.
        catalog: profiles and the views they mean.
        manifests: the manifests.
        reviews: what people decided on utterances and faces.
        verdicts: which utterances passed, by name.
        splits: which utterance trains, selects or is scored, by name.
        selections: lists of utterances, by name.
    """

    def __init__(self, files: FileLayer, cache: Path) -> None:
        self.root = files.root
        self.cache = cache
        self.files = files
        self.faults = FaultLedger(files)
        self.catalog = Catalog(files)
        self.manifests = ManifestStore(files)
        self.reviews = Reviews(files, self.manifests)
        self.verdicts = NamedVerdicts(files, self.manifests.forgotten)
        self.splits = SavedSplits(files, self.manifests.forgotten)
        self.selections = NamedSelections(files, self.manifests.forgotten)
        self._tables: dict[str, FeatureTable] = {}

    def corpora(self) -> list[str]:
        """Names of the corpora that were ingested."""
        return self.manifests.corpora()

    def manifest(self, corpora: Sequence[str] | None = None) -> pl.DataFrame:
        """Rows of the named corpora, of all by default.

        Raises:
            UnknownNameError: a corpus that was not ingested.
        """
        return self.manifests.read(corpora)

    def write_manifest(
        self,
        corpus: str,
        rows: pl.DataFrame,
        on_file: Callable[[int], None] | None = None,
        terms: Terms | None = None,
    ) -> IngestReport:
        """Replace a corpus's manifest; see :meth:`ManifestStore.replace`."""
        return self.manifests.replace(corpus, rows, on_file, terms)

    def views(self) -> list[str]:
        """Names of all feature tables."""
        return [
            name
            for name in self.files.list_folders(FEATURES)
            if self.files.exists(f"{FEATURES}/{name}/{_RECIPE_FILE}")
        ]

    def recipe(self, view: str) -> Recipe:
        """The recipe of a view.

        Raises:
            UnknownNameError: no such view.
            BadInputError: its ``recipe.json`` is unreadable or belongs to another view.
        """
        return self.table(view).recipe

    def table(self, view: str) -> FeatureTable:
        """The feature table of a view.

        Raises:
            UnknownNameError: no such view.
            BadInputError: its ``recipe.json`` is unreadable or belongs to another view.
        """
        if view not in self._tables:
            self._tables[view] = FeatureTable(self.files, self._read_recipe(view))
        return self._tables[view]

    def ensure_table(self, recipe: Recipe, provenance: Mapping[str, str] | None = None) -> FeatureTable:
        """The recipe's feature table, made when it is not there.

        Args:
            recipe: the embedding space.
            provenance: what is told with it and not compared, such as the model's name.

        Raises:
            BadInputError: its ``recipe.json`` is unreadable, or another recipe has the same eight digits.
        """
        path = f"{FEATURES}/{recipe.view}/{_RECIPE_FILE}"
        if not self.files.exists(path):
            data = {
                "fingerprint": recipe.fingerprint,
                "recipe": recipe.identity(),
                "provenance": dict(provenance or {}),
            }
            self.files.write(path, (json.dumps(data, indent=2, sort_keys=True) + "\n").encode())
        table = self.table(recipe.view)
        if table.recipe.fingerprint != recipe.fingerprint:
            raise BadInputError(
                f"two recipes share the name {recipe.view}: {table.recipe.fingerprint} is stored, "
                f"{recipe.fingerprint} is wanted; change a setting of the wanted one"
            )
        return table

    def close_table(self, view: str) -> None:
        """Forget what was read of a view, after it was dropped."""
        self._tables.pop(view, None)

    def provenance(self, view: str) -> dict[str, str]:
        """What was told of the view when its table was made, such as the model's name."""
        data = json.loads(self.files.read(f"{FEATURES}/{view}/{_RECIPE_FILE}"))
        return {str(key): str(value) for key, value in data["provenance"].items()}

    def view_of(self, fingerprint: str) -> str:
        """The view whose recipe has this fingerprint.

        Raises:
            UnknownNameError: no table has it.
        """
        # Only these are looked into: on an object store each look is a request.
        named = [name for name in self.files.list_folders(FEATURES) if name.endswith(f"_{fingerprint[:8]}")]
        for view in named:
            there = self.files.exists(f"{FEATURES}/{view}/{_RECIPE_FILE}")
            if there and self.recipe(view).fingerprint == fingerprint:
                return view
        raise UnknownNameError(
            "recipe fingerprint", fingerprint, [self.recipe(view).fingerprint for view in self.views()]
        )

    def wanted(self, recipe: Recipe, corpora: Sequence[str] | None = None) -> pl.DataFrame:
        """(utterance_id, content_key) that the recipe's live rows should have, for the utterances it applies to."""
        return self.wanted_in(recipe, self.manifest(corpora))

    def wanted_in(self, recipe: Recipe, manifest: pl.DataFrame) -> pl.DataFrame:
        """The same for manifest rows at hand; of a recipe about speakers, for the speakers of these rows.

        A speaker's clips are looked for in all corpora, and the turns before an utterance in its whole corpus: a part
        of them would give another key.
        """
        inputs = self.inputs_of(recipe)

        def live_keys(fingerprint: str) -> pl.DataFrame:
            if fingerprint in inputs:
                return self.table(inputs[fingerprint]).live_keys()
            return empty_live_keys()

        if recipe.entity == "speaker":
            keys = wanted_keys(recipe, self.manifest(), live_keys, (), self.reviews.read())
            return keys.join(subjects(recipe, manifest), on="utterance_id", how="semi", maintain_order="left")
        about_speakers = [name for name, view in inputs.items() if self.recipe(view).entity == "speaker"]
        if reads_other_turns(recipe):
            whole = self.manifest(manifest["corpus"].unique().sort().to_list())
            keys = wanted_keys(recipe, whole, live_keys, about_speakers)
            return manifest.select("utterance_id").join(keys, on="utterance_id", maintain_order="left")
        return wanted_keys(recipe, manifest, live_keys, about_speakers)

    def inputs_of(self, recipe: Recipe) -> dict[str, str]:
        """Fingerprint to view of the tables that the recipe reads; optional ones that do not exist left out.

        Raises:
            UnknownNameError: an input that is not optional has no table.
        """
        found = {}
        for fingerprint in recipe.inputs:
            try:
                found[fingerprint] = self.view_of(fingerprint)
            except UnknownNameError:
                if fingerprint not in recipe.settings.get("optional_inputs", ()):
                    raise
        return found

    def resolve(self, slot_or_view: str, profile: str | None = None) -> str:
        """The view that a slot means in a profile; a view's own name means itself.

        Raises:
            UnknownNameError: no such slot or view.
            AmbiguousViewError: several candidates; the message lists them.
        """
        if slot_or_view in (views := self.views()):
            return slot_or_view
        try:
            return self.catalog.resolve(slot_or_view, profile)
        except UnknownNameError as error:
            if error.kind == "slot":
                raise UnknownNameError("slot or view", slot_or_view, {*error.allowed, *views}) from None
            raise

    @overload
    def pull(
        self, slots: Slots, *, by: Literal["utterance"] = "utterance", **options: Unpack[PullOptions]
    ) -> TrainingSet: ...

    @overload
    def pull(self, slots: Slots, *, by: Literal["dialogue"], **options: Unpack[PullOptions]) -> Dialogues: ...

    @overload
    def pull(self, slots: Slots, *, by: By, **options: Unpack[PullOptions]) -> TrainingSet | Dialogues: ...

    def pull(
        self, slots: Slots, *, by: By = "utterance", **options: Unpack[PullOptions]
    ) -> TrainingSet | Dialogues:
        """Aligned features of any combination of slots, as arrays, tensors, Polars or Arrow.

        ``store.pull(["text", "speaker"], where=Selection(corpora=("meld",), splits=("train",)))``; ``ids=[...]``,
        ``verdict="strict"``, ``join="outer"`` and ``by="dialogue"`` say which utterances and how. Every argument is
        told at :func:`feature_repo.pull.pull`, what comes back at :class:`feature_repo.training_set.TrainingSet`.
        """
        from feature_repo.pull import pull  # reads through the mirror; a status needs none of it

        return pull(self, slots, by=by, **options)

    def similar(self, view: str, query: Query, **options: Unpack[SimilarOptions]) -> pl.DataFrame:
        """The utterances nearest to each query by the cosine of a pooled view, as a Polars frame.

        ``store.similar("text", "meld/train/dia0_utt0", k=5, exclude="dialogue")``; a query may be several ids or
        vectors too. Every argument is told at :func:`feature_repo.similarity.similar`.
        """
        from feature_repo.similarity import similar  # reads through the mirror; a status needs none of it

        return similar(self, view, query, **options)

    def _read_recipe(self, view: str) -> Recipe:
        path = f"{FEATURES}/{view}/{_RECIPE_FILE}"
        try:
            data = json.loads(self.files.read(path))
            recipe = Recipe.from_identity(data["recipe"])
        except FileNotFoundError:
            raise UnknownNameError("view", view, self.views()) from None
        except (ValueError, KeyError, TypeError) as error:
            raise BadInputError(f"{self.files.url(path)} is unreadable: {error}") from error
        if recipe.view != view or recipe.fingerprint != data.get("fingerprint"):
            raise BadInputError(f"{self.files.url(path)} describes {recipe.fingerprint}, not {view}")
        return recipe
