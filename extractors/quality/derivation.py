"""Derivations: recipes over stored rows, and the run that brings them up to date in the order of their inputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from feature_repo.catalog import DEFAULT_PROFILE
from feature_repo.errors import AmbiguousViewError, BadInputError, UnknownNameError
from feature_repo.fill import FillReport, ViewPlan, fill
from feature_repo.outcome import Outcome
from feature_repo.recipe import Recipe
from feature_repo.store import Store

if TYPE_CHECKING:
    from feature_repo.quality_config import QualityConfig

Derived = Generator[tuple[str, str, Outcome], None, None]  # view, id of the utterance or speaker, outcome
OF_FACES = ("reference", "match", "offsets", "offsetmatch", "face")
FACES, TRANSCRIPT, TEXT = "faces_steps", "transcript", "text"


class Derivation(Protocol):
    """One step of quality control: it reads stored feature tables and fills others.

    An instance is made of the views that it reads, and states its recipes without a model: a model is loaded at the
    first missing row. :func:`derive` gives it to ``feature_repo.fill.fill``, so it is resumed, filed and interrupted
    like an extraction.
    """

    @property
    def name(self) -> str:
        """What a person calls the step, such as ``reference`` or ``alignment``."""
        ...

    @property
    def slot(self) -> str:
        """The slot of its first recipe."""
        ...

    def recipes(self) -> Mapping[str, Recipe]:
        """Slot to recipe."""
        ...

    def provenance(self) -> dict[str, str]:
        """Model and library versions, told with each of its views and never compared."""
        ...

    def compute(self, store: Store, missing: Mapping[str, Sequence[str]]) -> Derived:
        """Yield (view, id, outcome) once for each missing pair.

        Args:
            store: where its inputs are.
            missing: view to ids of utterances, or of speakers where the recipe is about a speaker.
        """
        ...


@dataclass(frozen=True)
class Watch:
    """Whom a run tells what it does; each may be None.

    Attributes:
        on_step: a derivation's name when it begins.
        on_plan: what it lacks, before anything is computed.
        on_progress: 1 after each outcome.
        on_load: a model's name when it is loaded.
    """

    on_step: Callable[[str], None] | None = None
    on_plan: Callable[[Mapping[str, ViewPlan]], None] | None = None
    on_progress: Callable[[int], None] | None = None
    on_load: Callable[[str], None] | None = None


@dataclass
class DeriveReport:
    """What a run did.

    Attributes:
        profile: whose views they are.
        fills: by derivation, in the order they ran.
        views: slot to view, of what ran.
        skipped: derivation to the reason in words.
    """

    profile: str
    fills: dict[str, FillReport] = field(default_factory=dict)
    views: dict[str, str] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    @property
    def computed(self) -> int:
        """Rows computed, over all derivations."""
        return sum(report.computed for report in self.fills.values())

    @property
    def tried(self) -> int:
        """Rows computed, and those that failed."""
        return self.computed + sum(
            view.faulted for report in self.fills.values() for view in report.views.values()
        )

    @property
    def everything_failed(self) -> bool:
        """Whether something was tried and nothing of it succeeded."""
        return self.computed == 0 and self.tried > 0


def derive(
    store: Store,
    profile: str | None = None,
    *,
    corpora: Sequence[str] | None = None,
    config: QualityConfig | None = None,
    settings: Mapping[str, str] | None = None,
    retry_faults: bool = False,
    device: str = "auto",
    watch: Watch | None = None,
) -> DeriveReport:
    """Bring references, matches, the offset search, the speaker's faces and alignments up to date.

    What a profile has no input for is skipped and told. Afterwards the profile means the views, also of an interrupted
    run.

    Args:
        store: the store.
        profile: catalogue profile whose views are read and which is pointed at the new ones; None is ``default`` where
            that has faces or transcripts, else the one profile that has.
        corpora: only these corpora; all by default.
        config: thresholds; by default the store's.
        settings: of the extractor of faces for the offset search, where those recorded with the faces don't hold any
            more: name to text.
        retry_faults: try again what failed before with the same content.
        device: where models run.
        watch: whom to tell.

    Raises:
        UnknownNameError: a profile or corpus that does not exist.
        AmbiguousViewError: several profiles have faces or transcripts, and none was named.
        BadInputError: no profile has, a model could not be loaded.
        StoreWriteError: disk full or read-only; what was committed stays.
    """
    from feature_repo.quality_config import (
        load_quality_config,
    )  # reads TOML, which the protocol does not need

    name = source_profile(store, profile)
    run = _Run(store, DeriveReport(name), corpora, retry_faults, watch or Watch())
    slots = store.catalog.slots(name)
    chosen = config or load_quality_config(store)
    if FACES in slots:
        _derive_faces(run, slots[FACES], chosen, settings, device)
    else:
        run.skip(
            OF_FACES,
            f"profile {name!r} has no faces; compute some with `affectstore extract -e facenet512`",
        )
    if TRANSCRIPT in slots:
        _derive_alignment(run, slots, device)
    else:
        run.skip(
            ("alignment",),
            f"profile {name!r} has no transcripts; compute some with `affectstore extract -e fasterwhisper`",
        )
    return run.report


def source_profile(store: Store, profile: str | None = None) -> str:
    """The profile whose faces and transcripts are meant.

    Raises:
        UnknownNameError: no such profile.
        AmbiguousViewError: none was named, and several have some.
        BadInputError: none was named, and none has any.
    """
    if profile is not None:
        store.catalog.slots(profile)
        return profile
    having = [
        name for name in store.catalog.profiles() if {FACES, TRANSCRIPT} & set(store.catalog.slots(name))
    ]
    if DEFAULT_PROFILE in having or len(having) == 1:
        return DEFAULT_PROFILE if DEFAULT_PROFILE in having else having[0]
    if having:
        raise AmbiguousViewError(
            f"several profiles have faces or transcripts: {', '.join(having)}; name one with --profile"
        )
    raise BadInputError(
        f"{store.root} has neither faces nor transcripts; compute some with `affectstore extract -e facenet512` and "
        "`affectstore extract -e fasterwhisper`"
    )


@dataclass
class _Run:
    """One call of :func:`derive`: fills derivations and keeps the report."""

    store: Store
    report: DeriveReport
    corpora: Sequence[str] | None
    retry_faults: bool
    watch: Watch

    def skip(self, names: Sequence[str], reason: str) -> None:
        self.report.skipped.update(dict.fromkeys(names, reason))

    def fill(self, derivation: Derivation, ids: Collection[str] | None = None) -> None:
        """Bring one derivation's views up to date and point the profile at them."""
        if self.watch.on_step:
            self.watch.on_step(derivation.name)
        recipes = derivation.recipes()
        told = derivation.provenance()
        views = {slot: recipe.view for slot, recipe in recipes.items()}
        try:
            report = fill(
                self.store,
                list(recipes.values()),
                lambda missing: derivation.compute(self.store, missing),
                corpora=self.corpora,
                ids=ids,
                retry_faults=self.retry_faults,
                provenance=dict.fromkeys(views.values(), told),
                on_plan=self.watch.on_plan,
                on_progress=self.watch.on_progress,
            )
        except KeyboardInterrupt:
            there = set(self.store.views())
            self._point({slot: view for slot, view in views.items() if view in there})
            raise
        self.report.fills[derivation.name] = report
        self.report.views.update(views)
        if not report.everything_failed:
            self._point(views)

    def _point(self, views: Mapping[str, str]) -> None:
        self.store.catalog.set(self.report.profile, views)


def _derive_faces(
    run: _Run, view: str, config: QualityConfig, settings: Mapping[str, str] | None, device: str
) -> None:
    from extractors.quality.matching import MatchDerivation, unmatched  # these import this module's types
    from extractors.quality.offset_search import OffsetSearch, around, around_recipe
    from extractors.quality.references import ReferenceDerivation
    from extractors.quality.speaker_faces import SpeakerFaceDerivation
    from feature_repo.quality_config import NoThresholdError, space_name

    store, told = run.store, run.store.provenance(view)
    embedder = space_name(store, view)
    try:
        threshold = config.face_similarity(embedder)
    except NoThresholdError as error:
        run.skip(OF_FACES, str(error))
        return
    faces = store.recipe(view)
    references = ReferenceDerivation(faces, threshold, told=told)
    run.fill(references)
    reference = references.recipes()["reference"]
    matches = MatchDerivation(faces, reference, told=told)
    run.fill(matches)
    around_them = around_recipe(faces)
    near: Recipe | None = around_them
    try:
        search = OffsetSearch(around(store, view, settings), device, run.watch.on_load)
        search.recipes()
    except (BadInputError, UnknownNameError) as error:
        # What was looked at before is as good as ever: it is other frames of the same space.
        near = around_them if around_them.view in store.views() else None
        run.skip(
            ("offsets",) if near else ("offsets", "offsetmatch"),
            f"{error}; what has moved can be named with --faces KEY=VALUE",
        )
    else:
        if search.pointless:
            near = None
            run.skip(
                ("offsets", "offsetmatch"), "every frame is taken for one face, there is nobody to look for"
            )
        else:
            run.fill(search, unmatched(store, faces, matches.recipes()["match"], threshold))
    if near is not None:
        run.fill(MatchDerivation(near, reference, "offsetmatch", told))
    run.fill(SpeakerFaceDerivation(faces, reference, near, threshold, told))


def _derive_alignment(run: _Run, slots: Mapping[str, str], device: str) -> None:
    from extractors.quality.alignment import AlignmentDerivation  # imports this module's types
    from extractors.settings import parse_settings
    from extractors.text.sentence import Sentence, SentenceSettings

    store, settings = run.store, None
    # The profile's own encoder of text, so that a corpus is read by one model; without one, the paper's.
    if TEXT in slots and store.recipe(slots[TEXT]).extractor == Sentence.name:
        recorded = store.provenance(slots[TEXT])
        given = json.loads(recorded.get("settings", "{}")) or {"model": recorded["model"]}
        settings = parse_settings(SentenceSettings, {**given, "tokens": "no"}, Sentence.name)
    derivation = AlignmentDerivation(store.recipe(slots[TRANSCRIPT]), settings, device, run.watch.on_load)
    try:
        derivation.recipes()
    except BadInputError as error:
        run.skip((derivation.name,), str(error))
    else:
        run.fill(derivation)
