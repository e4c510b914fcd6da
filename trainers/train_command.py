"""The command ``train``: what its options or an experiment's file say, trained, scored, beside the paper's cell."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from feature_repo.console import (
    CorpusOption,
    DeviceOption,
    JsonOption,
    ProfileOption,
    RootOption,
    SchemeOption,
    VerdictOption,
    console,
)
from trainers.experiments.options import (
    FoldsOption,
    OnlyFoldOption,
    ProtocolOption,
    ReportOption,
    RowWeightsOption,
    SeedsOption,
    SetOption,
    SlotsOption,
    StartOption,
    TrainCorpusOption,
    TrainJoinOption,
    TrainOnOption,
    asked_experiment,
    check_profile,
)
from trainers.trackers.tracking import LogOption, chosen_trackers, tracked, tracking


def train(
    context: typer.Context,
    slots: SlotsOption = None,
    model: Annotated[
        str,
        typer.Option(
            help="Adapters over vectors side by side: [cyan]mlp[/cyan], [cyan]kan[/cyan] (a learned B-spline on every"
            " edge), [cyan]mamba-adapter[/cyan] (over sequences). Fusion: [cyan]mamba[/cyan], [cyan]gated[/cyan],"
            " [cyan]token-transformer[/cyan], [cyan]cross-modal-transformer[/cyan]. [cyan]conversation[/cyan]: Mamba"
            " over the turns of a dialogue. [cyan]end-to-end[/cyan]: WavLM and RoBERTa themselves, over stored sounds"
            " ([cyan]--slots audio_steps[/cyan]) and the manifest's texts."
        ),
    ] = "mlp",
    experiment: Annotated[
        str | None,
        typer.Option(
            "--experiment",
            "-e",
            help="An experiment of [cyan]affectstore experiments[/cyan], or a .yaml file; options that are given win.",
            show_default=False,
        ),
    ] = None,
    protocol: ProtocolOption = "official",
    folds: FoldsOption = 4,
    only_fold: OnlyFoldOption = None,
    seeds: SeedsOption = "0,1,2",
    settings: SetOption = None,
    join: TrainJoinOption = None,
    corpus: CorpusOption = None,
    verdict: VerdictOption = None,
    labels: SchemeOption = "seven",
    profile: ProfileOption = None,
    train_corpus: TrainCorpusOption = None,
    train_on: TrainOnOption = None,
    row_weights: RowWeightsOption = None,
    start: StartOption = None,
    report: ReportOption = None,
    device: DeviceOption = "auto",
    log: LogOption = None,
    root: RootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model on stored views and score it. A finished run is not run again, a killed one goes on.

    Example: [cyan]affectstore train --slots text --corpus meld --seeds 0,1,2[/cyan]

    Fusion by token: [cyan]affectstore train --model mamba --slots text_steps,face_steps,speaker --corpus meld --set
    class_weights.fear=15[/cyan]

    A row of a paper's table: [cyan]affectstore train --experiment meld-t-v-a[/cyan]; on all utterances instead of the
    verified ones: [cyan]--verdict ''[/cyan]

    Without official splits: [cyan]affectstore train --slots speaker,speech --corpus ravdess --protocol
    speaker-folds --folds 4 --set selection=uar[/cyan]
    """
    from feature_repo.store import open_store

    # Checked before torch is imported, so that a slip is answered at once.
    asked, file = asked_experiment(context, experiment, settings or [])
    config = asked.config()
    trackers = chosen_trackers(log)
    store = open_store(root)
    check_profile(asked, store.catalog.profiles())
    from trainers.device import chosen_device
    from trainers.experiments.beside_paper import beside_tables
    from trainers.experiments.training import train_experiment
    from trainers.runs.held_out import held_out_table
    from trainers.runs.report import reported
    from trainers.runs.selected_scores import selected_table
    from trainers.runs.tables import coverage_table, scores_table
    from trainers.training_bar import shown, training_bar

    with training_bar() as bar, tracking(trackers, store) as opened:
        progress = tracked(shown(bar, config.max_epochs, config.selection), opened)
        done = train_experiment(store, asked, device=chosen_device(device), progress=progress)
    if as_json:
        typer.echo(json.dumps([dict(run.record) for run in done.runs]))
        return
    coverage_table(done)
    scores_table(done)
    held_out_table(done.runs)
    selected, lacking = reported(store, done.runs, asked.report)
    if asked.report:
        selected_table({**selected, **lacking})
    beside_tables(asked, done.by_seed(), file, selected=selected)
    for tracker in opened if done.trained else ():
        console.print(f"curves: {tracker.where()}", style="dim", highlight=False, soft_wrap=True)
