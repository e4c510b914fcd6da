"""Running a suite: variant after variant, or several at once, each found again where it was finished before."""

from __future__ import annotations

import io
import re
import statistics
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from feature_repo.corpus_domains import domain_of
from feature_repo.errors import AffectStoreError, BadInputError, UnknownNameError
from feature_repo.named_ids import named_ids
from trainers.config import TrainingConfig
from trainers.experiments.experiment import Experiment
from trainers.experiments.training import train_experiment
from trainers.protocols.registry import corpora_of
from trainers.suites.adapted_slots import with_adapted_slots
from trainers.suites.measures import measured_cost, scores_when_dropped
from trainers.suites.suite import Suite
from trainers.suites.suite_results import SuiteResult, VariantResult, is_stand_in, results_frame
from trainers.suites.variant import Variant, in_order
from trainers.suites.workers import OnTraining, Piece, Workers, pieces_of
from trainers.train import Progress

if TYPE_CHECKING:
    from feature_repo.store import Store

FOLDER = "suites"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def run_suite(
    store: Store,
    suite: Suite,
    *,
    name: str | None = None,
    device: str = "cpu",
    workers: int = 1,
    on_training: OnTraining | None = None,
) -> SuiteResult:
    """Train every variant for every seed, and write what there is below ``suites/`` after each variant.

    An interrupted suite goes on where it was: a finished run is not run again, a killed one is resumed. A variant that
    fails is told in the result, with those that would begin from it, and the others go on. With several workers the
    seeds of the variants are trained in processes of their own, each with its share of the cores; sums over other
    numbers of threads differ in their last digits, so that what is compared bit by bit wants one number of threads
    (``OMP_NUM_THREADS``).

    Args:
        store: the store.
        suite: the suite.
        name: of the results' file; the suite's if not given.
        device: where the models are.
        workers: processes that train at once; 1 trains in this one.
        on_training: told ``(what, settings)`` before each training; may give its callbacks.

    Raises:
        UnknownNameError: where no variant has a result, a slot, corpus, verdict or profile that does not exist.
        BadInputError: a name that no file can have, no worker, or no variant with a result.
    """
    if not _NAME.fullmatch(name or suite.name):
        raise BadInputError(
            f"results' name {name or suite.name!r}: letters, digits, '_', '-' and '.', a letter or digit first"
        )
    if workers < 1:
        raise BadInputError(f"{workers} workers; allowed: 1 or more")
    running = _Running(store, suite, f"{FOLDER}/{name or suite.name}.parquet", device)
    if workers == 1:
        running.one_by_one(on_training)
    else:
        running.at_once(Workers(workers, store, device=device, on_training=on_training))
    if not running.results:
        raise running.first_error or BadInputError("; ".join(running.untold.values()))
    if suite.cost:
        # At the end, as others that train meanwhile would make a model slow.
        for one, result in running.results.items():
            cost = measured_cost(store, result.trained.runs[0], device)
            running.results[one] = replace(result, cost=cost)
        running.write()
    return running.result()


@dataclass
class _Running:
    """A suite under way.

    Attributes:
        store: the store.
        suite: the suite.
        path: where its results are written.
        device: where the models are.
        results: of the variants that are there.
        untold: why others have none.
        failed: those of them that went wrong.
        first_error: what went wrong first, of a variant that was trained here.
    """

    store: Store
    suite: Suite
    path: str
    device: str
    results: dict[str, VariantResult] = field(default_factory=dict)
    untold: dict[str, str] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    first_error: Exception | None = None

    def __post_init__(self) -> None:
        self.variants = in_order(self.suite.variants)
        self.experiments = self.suite.experiments()
        self.selections: dict[str, frozenset[str]] = {}
        self.unselected: dict[str, str] = {}
        for name in dict.fromkeys(each for one in self.experiments.values() for each in one.report):
            try:
                self.selections[name] = frozenset(named_ids(self.store, name).ids)
            except UnknownNameError as error:  # a store without acted corpora has no TestA
                self.unselected[name] = str(error)

    def one_by_one(self, on_training: OnTraining | None) -> None:
        """Train the variants in this process."""
        for variant in self.variants:
            try:
                asked = self.asked(variant)
                if asked is not None:
                    self.gather(variant, asked, on_training)
            except Exception as error:  # the others go on
                self.first_error = self.first_error or error
                self.fail(variant, _words(error))

    def at_once(self, workers: Workers) -> None:
        """Train the variants in several processes; gather each in this one, where its runs are found again."""
        waiting = list(self.variants)
        queue: list[Piece] = []
        left: dict[str, int] = {}
        asked: dict[str, Experiment] = {}
        wrong: dict[str, str] = {}
        with workers.running():
            while waiting or queue or workers.busy:
                for variant in [each for each in waiting if self.settled(each)]:
                    waiting.remove(variant)
                    found = self.asked_or_failed(variant)
                    if found is not None:
                        asked[variant.name] = found
                        pieces = pieces_of(variant.name, found, variant.adapt)
                        left[variant.name] = len(pieces)
                        queue += pieces
                while workers.has_room and (piece := _first_of(queue, left, asked)) is not None:
                    queue.remove(piece)
                    workers.begin(piece)
                if not workers.busy:
                    continue  # nothing could begin: what waited has failed with what it begins from
                piece, went_wrong = workers.next_ended()
                left[piece.variant] -= 1
                if went_wrong is not None:
                    wrong.setdefault(piece.variant, went_wrong)
                if left[piece.variant]:
                    continue
                variant = next(each for each in self.variants if each.name == piece.variant)
                if piece.variant in wrong:
                    self.fail(variant, wrong[piece.variant])
                    continue
                try:
                    self.gather(variant, asked[piece.variant], None)
                except Exception as error:
                    self.fail(variant, _words(error))

    def settled(self, variant: Variant) -> bool:
        """Whether everything that a variant begins from has come to something."""
        return all(each in self.results or each in self.untold for each in variant.start)

    def asked_or_failed(self, variant: Variant) -> Experiment | None:
        """What a variant trains; None where it can't, which is then told."""
        try:
            return self.asked(variant)
        except Exception as error:
            self.fail(variant, _words(error))
            return None

    def asked(self, variant: Variant) -> Experiment | None:
        """What a variant trains, with the corpora and runs of this store; None without a corpus that it needs.

        Raises:
            BadInputError: what it begins from has failed, or no corpus is of its domains.
        """
        corpora = self.store.corpora()
        lacking = [each for each in variant.needs if not any(_answers(name, each) for name in corpora)]
        if lacking:
            self.untold[variant.name] = (
                f"left out: it needs {', '.join(lacking)}, which the store does not have"
            )
            return None
        asked = self.experiments[variant.name]
        asked = replace(asked, report=tuple(each for each in asked.report if each in self.selections))
        if variant.train_domains:
            asked = replace(asked, train_corpora=_of_domains(self.store, variant, asked))
        if variant.start:
            lost = [each for each in variant.start if each not in self.results]
            if lost:
                raise BadInputError(f"not run: {', '.join(lost)}, from which it begins, has no result")
            asked = _beginning(asked, [self.results[each] for each in variant.start])
        return asked

    def gather(self, variant: Variant, asked: Experiment, on_training: OnTraining | None) -> None:
        """Train a variant, or find its runs, and write what there is."""

        def told(what: str, config: TrainingConfig) -> Progress | None:
            named = f"{variant.name}, {what}" if what else variant.name
            return on_training(named, config) if on_training else None

        if variant.adapt:
            asked = with_adapted_slots(self.store, asked, variant.adapt, device=self.device, on_training=told)
        progress = told("", asked.config())
        done = train_experiment(self.store, asked, device=self.device, progress=progress)
        rates = self.suite.drop
        dropped = scores_when_dropped(self.store, rates, done.runs, self.device) if rates else None
        self.results[variant.name] = VariantResult(variant.name, asked, done, dropped=dropped)
        self.write()

    def fail(self, variant: Variant, why: str) -> None:
        """Note that a variant went wrong."""
        self.untold[variant.name] = why
        self.failed.append(variant.name)

    def write(self) -> None:
        """Write the results that there are."""
        buffer = io.BytesIO()
        results_frame(self.result().variants, self.selections).write_parquet(buffer)
        self.store.files.write(self.path, buffer.getvalue())

    def result(self) -> SuiteResult:
        """What there is, in the suite's order."""
        names = [variant.name for variant in self.suite.variants]
        return SuiteResult(
            self.suite,
            tuple(self.results[each] for each in names if each in self.results),
            self.path,
            self.selections,
            {each: self.untold[each] for each in names if each in self.untold},
            tuple(each for each in names if each in self.failed),
            self.unselected,
        )


def _first_of(queue: Sequence[Piece], left: dict[str, int], asked: dict[str, Experiment]) -> Piece | None:
    """The first piece that may begin: the adapters of a variant are all of its first seed, so that goes alone."""
    for piece in queue:
        first = piece.experiment.seeds[0]
        whole = left[piece.variant] == len(asked[piece.variant].seeds)
        if not piece.adapt or piece.seed == first or not whole:
            return piece
    return None


def _answers(name: str, corpus: str) -> bool:
    """Whether a corpus of the store is the one that is needed, or a stand-in of it."""
    return name == corpus or (name.startswith(f"{corpus}-") and is_stand_in(name))


def _of_domains(store: Store, variant: Variant, asked: Experiment) -> tuple[str, ...]:
    """The domains that a variant trains on, of which there are corpora."""
    corpora = asked.corpora or corpora_of(asked.protocol, store.splits) or store.corpora()
    there = {domain_of(name) for name in corpora}
    found = tuple(name for name in variant.train_domains if name in there)
    if not found:
        raise BadInputError(
            f"none of the corpora {', '.join(sorted(corpora))} is of domain {' or '.join(variant.train_domains)}"
        )
    return found


def _beginning(asked: Experiment, results: Sequence[VariantResult]) -> Experiment:
    """The experiment with what it begins from: of several the best on validation, never on test."""
    score = asked.config().selection

    def validated(result: VariantResult) -> float:
        return statistics.fmean(run.record["scores"]["validation"][score] for run in result.trained.runs)

    best = max(results, key=validated)
    return replace(asked, start=",".join(run.key for run in best.trained.runs), seeds=best.experiment.seeds)


def _words(error: Exception) -> str:
    if isinstance(error, AffectStoreError):
        return str(error)
    return "".join(traceback.format_exception(error)).strip()
