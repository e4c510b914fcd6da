"""Experiment files: every packaged one describes a model that can be built; slips name the file and the key."""

from pathlib import Path

import pytest

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.label_rules import RULES
from feature_repo.labels import SCHEMES
from trainers.config import AdapterConfig
from trainers.experiments.experiment import Experiment, experiment_names, load_experiment
from trainers.experiments.reference import reference_cells
from trainers.fusion.config import MambaFusionConfig
from trainers.fusion.slots import Slot
from trainers.models import END_TO_END, fresh_model

# What the paper's recipes are wide: fine-tuned MPNet, and the adapters' last layer; 512 before them (III-B).
FUSED = {"text_steps": 768, "face_steps": 128, "speaker": 128}
# What papers/003 fuses from stored features: a vector each, of MFCC or WavLM and of hashing or RoBERTa.
SIDE_BY_SIDE = {"text": 768, "speech": 160}
TABLE_2 = {"t": 768, "v": 128, "t-a": 896, "t-v": 896, "v-a": 256, "t-v-a": 1024}


def _file(folder: Path, text: str, name: str = "mine.yaml") -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return str(folder / name)


@pytest.mark.parametrize("name", experiment_names())
def test_every_packaged_experiment_builds_its_model(name: str) -> None:
    made = load_experiment(name)
    assert made.paper.startswith("papers/")
    assert set(made.corpora) <= set(RULES)
    if made.model == END_TO_END:
        assert made.slots == ("audio_steps",)  # tests/trainers/end_to_end builds them, on encoders of its own
        return
    adapter, widths = isinstance(made.config(), AdapterConfig), {**FUSED, **SIDE_BY_SIDE}
    slots = [Slot(slot, 512 if adapter else widths[slot], slot == "speaker") for slot in made.slots]
    classes = len(SCHEMES[made.labels].classes)
    model = fresh_model(slots, classes, made.config())
    shapes = [tuple(tensor.shape) for tensor in model.parameters()]
    # The head has a row per class; the first weight matrices are as wide as what is read.
    assert any(shape[0] == classes for shape in shapes if len(shape) == 2)
    wide = [sum(slot.width for slot in slots)]
    if made.model in ("gated", "token-transformer"):
        wide = [slot.width for slot in slots]  # which project each slot by itself
    assert all(any(shape[-1] == width for shape in shapes if len(shape) == 2) for width in wide)


@pytest.mark.parametrize("corpus", ["meld", "iemocap4"])
@pytest.mark.parametrize(("row", "width"), TABLE_2.items())
def test_table_2_has_a_file_for_each_row_with_the_papers_settings(corpus: str, row: str, width: int) -> None:
    made = load_experiment(f"{corpus}-{row}")
    letters = {"text_steps": "t", "face_steps": "v", "speaker": "a"}
    assert sorted(letters[slot] for slot in made.slots) == sorted(row.split("-"))
    assert sum(FUSED[slot] for slot in made.slots) == width
    assert made.reference[0] == f"000/table-2/{corpus}/{row}"
    config = made.config()
    assert isinstance(config, MambaFusionConfig)
    assert (config.d_state, config.expand, config.d_conv, config.depth) == (64, 2, 4, 1)
    assert (config.lr, config.batch_size, config.patience, config.label_smoothing) == (1e-5, 32, 10, 0.2)
    assert (config.optimizer, config.selection) == ("adamw", "weighted_f1")
    assert made.verdict == "verified"
    if corpus == "meld":
        weights = {"surprise": 15, "fear": 15, "disgust": 6, "joy": 1, "sadness": 3, "anger": 6, "neutral": 4}
        assert config.class_weights == weights
        assert (made.corpora, made.protocol, made.labels) == (("meld",), "official", "seven")
    else:
        assert config.class_weights == {}
        assert (made.corpora, made.protocol, made.labels) == (("iemocap",), "session-folds", "iemocap4")


def test_the_posters_rows_and_both_adapters_are_there_and_every_score_is_used_once() -> None:
    made = {name: load_experiment(name) for name in experiment_names()}
    assert set(made["poster-t-s-f"].slots) == set(FUSED)
    assert made["adapter-speaker"].corpora == ("cremad", "ravdess", "savee", "tess")
    assert made["adapter-face"].corpora == ("ckplus", "rafdb")
    assert made["poster-adapter-face"].corpora == ("jaffe", "ckplus", "rafdb", "fer2013")
    used = [cell for one in made.values() for cell in one.reference]
    assert len(used) == len(set(used))
    # The text encoder has a job of its own; sizes are counts, and the best trade-off is one of the rows.
    others = ("000/stage-1", "000/table-1", "003/sizes", "003/test-sets", "003/best")
    left = {name for name in reference_cells() if not name.startswith(others)}
    assert set(used) == left


def test_a_file_of_ones_own_says_only_what_differs(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        "base: meld-t-v-a\nslots: [text_steps]\ntitle: deeper\nprofile: mine\nseeds: [7]\nverdict:\n"
        "settings: {depth: 2, lr: 1e-4}\n",
    )
    made = load_experiment(path)
    assert (made.name, made.title, made.profile, made.seeds, made.verdict) == (
        "mine",
        "deeper",
        "mine",
        (7,),
        None,
    )
    assert (made.model, made.slots, made.corpora) == ("mamba", ("text_steps",), ("meld",))
    config = made.with_settings(["depth=3", "class_weights.fear=2"]).config()
    assert isinstance(config, MambaFusionConfig)
    assert (config.depth, config.lr) == (3, 1e-4)
    assert (config.class_weights["fear"], config.class_weights["surprise"]) == (2, 15)


def test_a_base_beside_the_file_and_a_setting_that_is_taken_away(tmp_path: Path) -> None:
    _file(
        tmp_path,
        "title: a\nmodel: mlp\nslots: [text]\nsettings: {lr: 1e-2, class_weights: {fear: 3}}\n",
        "a.yaml",
    )
    made = load_experiment(_file(tmp_path, "base: a.yaml\nsettings: {class_weights: null}\n"))
    assert dict(made.settings) == {"lr": 1e-2}
    assert made.config() == AdapterConfig(lr=1e-2)


def _family_a() -> dict[str, Experiment]:
    return {f"a{number}": load_experiment(f"003-a{number}") for number in range(10)}


def test_family_a_has_papers_003s_rows() -> None:
    made = _family_a()
    for name, one in made.items():
        assert one.reference == (f"003/family-a/{name}",)
        assert (one.slots, one.join, one.protocol) == (("text", "speech"), "outer", "split:audio-text")
        assert one.report == ("audio-text-testa", "audio-text-testb")
        assert one.config().label_smoothing == 0.1
        assert one.config().selection == "uar"
    assert [one.model for one in made.values()] == ["gated"] + ["token-transformer"] * 9
    configs = {name: one.config() for name, one in made.items()}
    dropped = {name for name, config in configs.items() if getattr(config, "modality_dropout", None) == 0.2}
    assert dropped == {"a3", "a4", "a5", "a6", "a7", "a8", "a9"}
    assert {name for name, config in configs.items() if config.ema} == {"a4", "a6", "a7", "a8", "a9"}
    four = {name for name, config in configs.items() if config.corpus_weights == {"meld": 4}}
    assert four == {"a5", "a6", "a7", "a8"}
    assert {name for name, one in made.items() if one.profile == "context"} == {"a8", "a9"}
    assert (made["a9"].starts_from, made["a9"].train_corpora) == ("003-a8", ("meld",))
    # A replica is the same settings with other seeds.
    assert made["a7"].settings == made["a6"].settings
    assert not set(made["a7"].seeds) & set(made["a6"].seeds)


def test_what_the_paper_leaves_unstated_is_assumed() -> None:
    # papers/003 5.1 and 4.3 state these values of what the files set; 4.3 balances classes in A2 by name.
    stated = {"modality_dropout": 0.2, "corpus_weights": {"meld": 4}}
    for name, one in _family_a().items():
        for key, value in one.settings.items():
            named = key == "class_balance" and name in ("a2", "a3", "a4")
            assert stated.get(key) == value or named or key in one.assumed, (name, key)


def test_a_reason_goes_with_its_value(tmp_path: Path) -> None:
    _file(
        tmp_path,
        "title: a\nmodel: gated\nslots: [text]\njoin: outer\nsettings: {ema: 0.9, lr: 1e-2}\n"
        "assumed: {ema: unstated, lr: unstated, join: unstated}\n",
        "a.yaml",
    )
    made = load_experiment(_file(tmp_path, "base: a.yaml\nsettings: {ema: 0.99}\nassumed: {slots: mine}\n"))
    assert made.assumed == {"lr": "unstated", "join": "unstated", "slots": "mine"}
    with pytest.raises(BadInputError, match="key 'assumed' is 'emma'; did you mean 'ema'"):
        load_experiment(_file(tmp_path, "base: a.yaml\nassumed: {emma: why}\n"))


def test_silence_is_the_defaults(tmp_path: Path) -> None:
    made = load_experiment(_file(tmp_path, "title: a\nmodel: mlp\nslots: [raw=text, speaker]\n"))
    assert made == Experiment("mine", "a", "mlp", ("raw=text", "speaker"))
    assert made.config() == AdapterConfig()


def test_changes_go_on_top() -> None:
    made = load_experiment("meld-t-v-a").changed(
        {"slots": ["text"], "model": "gated", "settings": {"latent": 64}}
    )
    assert (made.slots, made.model, made.settings["latent"]) == (("text",), "gated", 64)
    assert made.settings["class_weights"]["fear"] == 15
    with pytest.raises(BadInputError, match="meld-t: key 'seeds' is 3; allowed: a list"):
        load_experiment("meld-t").changed({"seeds": 3})
    with pytest.raises(BadInputError, match=r"--model: settings of model kan: unknown key 'd_state'"):
        load_experiment("meld-t").changed({"settings": {"d_state": 8}}).changed({"model": "kan"}, "--model")


_WHOLE = "title: a\nmodel: mamba\nslots: [text]\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("title: a\nslots: [text]\n", "mine.yaml: key 'model' is missing; needed: title, model, slots"),
        ("title: a\nmodel: mlp\nslots: []\n", "mine.yaml: key 'slots' is missing"),
        (
            _WHOLE + "sedes: [1]\n",
            "mine.yaml: unknown key 'sedes'; did you mean 'seeds'. allowed: assumed, base, corpora",
        ),
        (_WHOLE + "corpora: meld\n", r"mine.yaml: key 'corpora' is 'meld'; allowed: a list of texts"),
        (_WHOLE + "seeds: [one]\n", "key 'seeds' is \\['one'\\]; allowed: a list of different whole numbers"),
        (_WHOLE + "seeds: [1, 1]\n", "key 'seeds'"),
        (_WHOLE + "seeds: []\n", "key 'seeds'"),
        (_WHOLE + "folds: 2.5\n", "key 'folds' is 2.5; allowed: a whole number from 1"),
        (_WHOLE + "folds: true\n", "key 'folds'"),
        (_WHOLE + "settings: [1]\n", "key 'settings' is \\[1\\]; allowed: a mapping"),
        (
            "title: a\nmodel: mambo\nslots: [text]\n",
            "key 'model' is 'mambo'; did you mean 'mamba'. allowed: conv",
        ),
        (
            _WHOLE + "labels: iemocap\n",
            "key 'labels' is 'iemocap'; did you mean 'iemocap[46]'. allowed: iemocap4",
        ),
        (
            _WHOLE + "protocol: session-fold\n",
            "key 'protocol' is 'session-fold'; did you mean 'session-folds'",
        ),
        (_WHOLE + "protocol: 'split:'\n", "key 'protocol' is 'split:'; .*allowed: leave-corpus-out"),
        (_WHOLE + "train_corpora: meld\n", "key 'train_corpora' is 'meld'; allowed: a list of texts"),
        (_WHOLE + "report: [1]\n", "key 'report' is \\[1\\]; allowed: a list of texts"),
        (_WHOLE + "assumed: {lr: }\n", "key 'assumed' is {'lr': None}; allowed: a mapping of settings"),
        (_WHOLE + "join: left\n", "key 'join' is 'left'; allowed: inner, outer"),
        (
            _WHOLE + "reference: [000/table-2/meld/a]\n",
            "key 'reference' is '000/table-2/meld/a'; did you mean",
        ),
        ("title: a\nmodel: mamba\nslots: [Text]\n", "key 'slots' has 'Text'; allowed: slots such as text"),
        ("title: a\nmodel: mamba\nslots: [text, text]\n", "key 'slots' is text, text; allowed: each once"),
        ("title: a\nmodel: mamba\nslots: [labels=text]\n", "key 'slots': alias 'labels' is taken"),
        (
            _WHOLE + "settings: {dstate: 8}\n",
            "settings of model mamba: unknown key 'dstate'; did you mean 'd_state'",
        ),
        (_WHOLE + "settings: {depth: two}\n", "mine.yaml: settings: config key 'depth' can't be 'two'"),
        (
            _WHOLE + "settings: {depth: 0}\n",
            "mine.yaml: settings: config key 'depth' is 0; allowed: 1 or more",
        ),
        (
            _WHOLE + "settings: {class_weights: {happiness: 2}}\n",
            "key 'class_weights' is 'happiness'; .*allowed: anger",
        ),
        ("base: nowhere\n", "unknown experiment .* 'nowhere'; allowed: 003-a0"),
        ("base: [a]\n", "key 'base' is \\['a'\\]; allowed: the name of another"),
        ("base: meld-t\n", "key 'base' is 'meld-t', which has a base of its own; .*'meld-t-v-a'"),
    ],
)
def test_slips_name_the_file_the_key_and_what_is_allowed(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises((BadInputError, UnknownNameError), match=told):
        load_experiment(_file(tmp_path, text))


def test_an_unknown_name_lists_the_experiments() -> None:
    with pytest.raises(UnknownNameError, match="'meld-x'; allowed: 003-a0, .*poster-t-s-f"):
        load_experiment("meld-x")
    assert "reference" not in experiment_names()
    with pytest.raises(UnknownNameError, match="'reference'"):
        load_experiment("reference")
