"""Suite files: variants on top of one experiment, slips named before anything is trained."""

from pathlib import Path

import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.labels import SCHEMES
from trainers.experiments.experiment import load_experiment
from trainers.suites.suite import load_suite, suite_names
from trainers.suites.variant import Variant


def _file(folder: Path, text: str) -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    return str(path)


_WHOLE = "title: a\nexperiment: {model: mamba, slots: [text]}\n"


@pytest.mark.parametrize("name", suite_names())
def test_every_packaged_suite_is_experiments_that_differ(name: str) -> None:
    suite = load_suite(name)
    made = suite.experiments()
    assert len(made) == len(suite.variants) >= 2
    differ = [
        (
            {key: value for key, value in one.values().items() if key not in ("title", "reference", "paper")},
            variant.adapt,
            variant.start,
            variant.train_domains,
        )
        for variant, one in zip(suite.variants, made.values(), strict=True)
    ]
    assert all(one != other for place, one in enumerate(differ) for other in differ[place + 1 :])
    assert all(one.config() for one in made.values())


def test_the_packaged_suites_are_those_of_the_plan() -> None:
    assert [variant.changes["settings"]["depth"] for variant in load_suite("depth").variants] == [1, 2, 4]
    assert [variant.adapt for variant in load_suite("raw-or-adapted").variants] == [None, "mlp"]
    transformer = load_suite("mamba-or-transformer")
    assert [one.model for one in transformer.experiments().values()] == ["mamba", "cross-modal-transformer"]
    assert transformer.cost
    assert load_suite("missing-modalities").drop == (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


@pytest.mark.parametrize("family", ["a", "b"])
def test_a_familys_suite_has_the_papers_ten_rows_each_beside_its_own_cell(family: str) -> None:
    suite = load_suite(f"family-{family}")
    cells = {name: one.reference for name, one in suite.experiments().items()}
    assert {name: cell for name, cell in cells.items() if cell} == {
        f"{family}{number}": (f"003/family-{family}/{family}{number}",) for number in range(10)
    }
    # What an experiment's file says it begins from is what the variant begins from.
    bases = {variant.name: variant.base for variant in suite.variants}
    for variant in suite.variants:
        says = suite.experiments()[variant.name].starts_from
        assert (says is None) == (not variant.start)
        assert says is None or says in {bases[name] for name in variant.start}


def test_replicas_have_other_seeds_whatever_seeds_are_asked_for() -> None:
    made = load_suite("family-a").changed({"seeds": (0,)}).experiments()
    assert (made["a6"].seeds, made["a7"].seeds) == ((0,), (3,))
    assert made["a6"].config() == made["a7"].config()
    stages = load_suite("family-b").changed({"seeds": (0, 5)}).experiments()
    assert {name: one.seeds for name, one in stages.items() if one.seeds != (0, 5)} == {
        "b2-again": (3, 8),
        "b4": (3, 8),
    }


def test_the_protocols_suites_are_those_of_the_paper() -> None:
    context = load_suite("context").experiments()
    assert [one.profile for one in context.values()] == [f"context-{turns}" for turns in (0, 3, 7, 9)]
    ablation = load_suite("modality-ablation").experiments()
    assert [one.slots for one in ablation.values()] == [("text", "speech"), ("text",), ("speech",)]
    regularisers = [
        (one.settings["modality_dropout"], one.settings["ema"] > 0)
        for one in load_suite("regularisation").experiments().values()
    ]
    assert regularisers == [(0, False), (0.2, False), (0.2, True)]
    for name, classes in (("iemocap4", 4), ("iemocap6", 6)):
        (labels,) = {one.labels for one in load_suite(name).experiments().values()}
        assert len(SCHEMES[labels].classes) == classes
        assert {one.protocol for one in load_suite(name).experiments().values()} == {"session-folds"}
    factor = load_suite("quality-factor").experiments()
    assert [one.train_on for one in factor.values()] == [None, "verified", "verified-random"]
    assert {one.report for one in factor.values()} == {("verified",)}
    assert load_suite("frozen-or-tuned").relative
    assert {one.protocol for one in load_suite("leave-corpus-out").experiments().values()} == {
        "leave-corpus-out"
    }


def test_variants_go_on_top_of_options_and_options_on_top_of_the_file(tmp_path: Path) -> None:
    suite = load_suite(
        _file(
            tmp_path,
            _WHOLE
            + "variants:\n  base: {}\n  deep: {settings: {depth: 2}, seeds: [5]}\n  kan: {adapt: kan, model: gated}\n",
        )
    )
    assert suite.variants[2] == Variant("kan", {"model": "gated"}, "kan")
    changed = suite.changed(
        {"slots": ("text", "speech"), "corpora": ("toy",), "seeds": (7,)},
        ["max_epochs=3", "class_weights.joy=2"],
    )
    made = changed.experiments()
    assert {one.slots for one in made.values()} == {("text", "speech")}
    assert [one.seeds for one in made.values()] == [(7,), (5,), (7,)]
    assert dict(made["deep"].settings) == {"max_epochs": 3, "class_weights": {"joy": 2}, "depth": 2}
    assert (made["deep"].name, made["deep"].title) == ("mine-deep", "a: deep")
    assert suite.experiments()["base"].slots == ("text",)


def test_a_suite_over_an_experiment_of_the_papers(tmp_path: Path) -> None:
    suite = load_suite(
        _file(tmp_path, "title: a\nexperiment: {base: meld-t-v-a, seeds: [1]}\nvariants: {all: {}}\n")
    )
    made = suite.experiments()["all"]
    assert (made.verdict, made.seeds, made.settings["class_weights"]["fear"]) == ("verified", (1,), 15)
    over = load_suite("depth").changed(load_experiment("meld-v").values()).experiments()["four"]
    assert (over.slots, over.profile, over.settings["depth"]) == (("face_steps",), "paper-adapted", 4)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (_WHOLE, "mine.yaml: key 'variants' is missing; needed: title, variants"),
        (_WHOLE + "variants: [a]\n", "key 'variants' is \\['a'\\]; allowed: a mapping"),
        (_WHOLE + "variants: {a: 1}\n", "variant 'a' is 1; allowed: a mapping"),
        (_WHOLE + "variant: {a: {}}\n", "unknown key 'variant'; did you mean 'variants'"),
        (_WHOLE + "variants: {a: {adapt: mpl}}\n", "variant 'a': key 'adapt' is 'mpl'; did you mean 'mlp'"),
        (
            _WHOLE + "variants: {a: {setings: {}}}\n",
            "variant a: unknown key 'setings'; did you mean 'settings'",
        ),
        (
            _WHOLE + "variants: {a: {settings: {heads: 2}}}\n",
            "variant a: settings of model mamba: unknown key",
        ),
        (_WHOLE + "variants: {a: {}}\ncost: 1\n", "key 'cost' is 1; allowed: true, false"),
        (_WHOLE + "variants: {a: {}}\ndrop: 0.5\n", "key 'drop' is 0.5; allowed: shares"),
        (_WHOLE + "variants: {a: {}}\ndrop: [0.5, 0]\n", "key 'drop'"),
        (_WHOLE + "variants: {a: {}}\ndrop: [1]\n", "key 'drop'"),
        ("title: a\nexperiment: {model: mamba}\nvariants: {a: {}}\n", "variant a: key 'slots' is missing"),
        (
            "title: a\nexperiment: {modle: x}\nvariants: {a: {}}\n",
            "mine.yaml: experiment: unknown key 'modle'",
        ),
    ],
)
def test_slips_name_the_file_the_variant_and_the_key(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(BadInputError, match=told):
        load_suite(_file(tmp_path, text))


def test_an_unknown_suite_lists_them_and_a_setting_needs_its_value() -> None:
    with pytest.raises(UnknownNameError, match="'deep'; allowed: .*depth, .*mamba-or-transformer"):
        load_suite("deep")
    with pytest.raises(BadInputError, match="setting 'lr' is not of the form key=value"):
        load_suite("depth").changed({}, ["lr"])


def test_a_setting_goes_to_the_variants_whose_model_has_it() -> None:
    made = load_suite("family-b").changed({}, ["speech_model=/models/wavlm", "width=16"]).experiments()
    assert {name: one.settings.get("speech_model") for name, one in made.items()} == {
        **dict.fromkeys(made, "/models/wavlm"),
        "b2": None,
        "b2-again": None,
    }
    assert {one.settings["width"] for one in made.values()} == {16}
    with pytest.raises(
        BadInputError, match="variant b0: settings of model end-to-end: unknown key 'speach_model'"
    ):
        load_suite("family-b").changed({}, ["speach_model=a"]).experiments()
