"""The label bridge: from a corpus's own label to the seven classes, by rule and by stated policy."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.label_rules import RULES, Policy, Rule

Policies = Mapping[str, str]


@dataclass(frozen=True)
class Bridged:
    """What :func:`bridge_labels` returns: the two manifest columns, in the order of the labels."""

    emotion: pl.Series
    label_note: pl.Series
    used: Mapping[str, str] = field(default_factory=dict)


def bridge(
    corpus: str, label_raw: str | None, policies: Policies | None = None
) -> tuple[str | None, str | None]:
    """The seven-class emotion of a corpus's label, and a note on how it came about.

    The rules are those of papers/003 section 1.3. A label may be given by its name or, where the corpus writes a
    code, by that code. GoEmotions and SemEval E-c take names joined by commas, SemEval EI-reg takes
    ``dimension=intensity`` such as ``fear=0.729``.

    Args:
        corpus: a corpus that has a rule, such as ``"meld"``.
        label_raw: the label as the corpus writes it; None or empty: unlabelled.
        policies: choices for labels that the seven classes have no place for, such as ``{"contempt": "disgust"}``;
            what is not named is at its default.

    Returns:
        (emotion or None when left out, note or None when the label is the class's own name).

    Raises:
        UnknownNameError: a corpus without a rule, a label that the corpus does not have, an unknown policy or choice.
        BadInputError: a SemEval intensity or threshold that is not a number from 0 to 1.
    """
    rule = _rule(corpus)
    _check(corpus, rule, policies or {})
    return _bridge(corpus, rule, label_raw, policies or {})


def bridge_labels(corpus: str, labels: Sequence[str | None], policies: Policies | None = None) -> Bridged:
    """:func:`bridge` of many labels: Series ``emotion`` and ``label_note`` of the labels' length and order."""
    rule = _rule(corpus)
    _check(corpus, rule, policies or {})
    known = {label: _bridge(corpus, rule, label, policies or {}) for label in dict.fromkeys(labels)}
    return Bridged(
        pl.Series("emotion", [known[label][0] for label in labels], dtype=pl.String),
        pl.Series("label_note", [known[label][1] for label in labels], dtype=pl.String),
        {name: (policies or {}).get(name, policy.default) for name, policy in rule.policies.items()},
    )


def policies_of(corpus: str) -> dict[str, Policy]:
    """The policies that a corpus's rule knows, by name.

    Raises:
        UnknownNameError: a corpus without a rule.
    """
    return dict(_rule(corpus).policies)


def _rule(corpus: str) -> Rule:
    if corpus not in RULES:
        raise UnknownNameError("corpus in the label bridge", corpus, RULES)
    return RULES[corpus]


def _check(corpus: str, rule: Rule, policies: Policies) -> None:
    for name, choice in policies.items():
        if name not in rule.policies:
            raise UnknownNameError(f"label policy of {corpus}", name, rule.policies)
        policy = rule.policies[name]
        if policy.numeric:
            _fraction(f"label policy {name!r} of {corpus}", choice)
        elif choice not in policy.choices:
            raise UnknownNameError(f"choice for label policy {name!r} of {corpus}", choice, policy.choices)


def _bridge(
    corpus: str, rule: Rule, label_raw: str | None, policies: Policies
) -> tuple[str | None, str | None]:
    label = (label_raw or "").strip()
    if rule.several and "=" in label:
        return _intensity(corpus, rule, label, policies)
    if rule.several:
        return _several(corpus, rule, label)
    if not label:
        return None, "unlabelled"
    return _one(corpus, rule, _name(corpus, rule, label), policies)


def _name(corpus: str, rule: Rule, label: str) -> str:
    """The label's name in the rule, from its name in any case or from its code."""
    folded = label.casefold()
    name = rule.codes.get(folded, folded)
    if name not in rule.labels:
        raise UnknownNameError(f"label of {corpus}", label, [*rule.labels, *rule.codes])
    return name


def _one(corpus: str, rule: Rule, name: str, policies: Policies) -> tuple[str | None, str | None]:
    policy = rule.policies.get(name)
    if policy is not None:
        choice = policies.get(name, policy.default)
        return policy.choices[choice], f"policy {name}={choice}"
    emotion = rule.labels[name]
    if emotion is None:
        return None, f"{name}: no place among the seven classes, dropped"
    return emotion, None if emotion == name else f"{name} to {emotion}"


def _several(corpus: str, rule: Rule, label: str) -> tuple[str | None, str | None]:
    """Several labels at once: kept where they all lie in one group (papers/003 section 1.3)."""
    names = [_name(corpus, rule, part.strip()) for part in label.split(",") if part.strip()]
    # Labels outside the seven classes (SemEval's optimism, trust) do not speak against the one that is inside.
    groups = sorted({emotion for name in names if (emotion := rule.labels[name]) is not None})
    joined = ", ".join(names)
    if len(groups) > 1:
        return None, f"several groups ({', '.join(groups)}), dropped"
    if not groups:
        return None, f"{joined}: no place among the seven classes, dropped" if names else "unlabelled"
    return groups[0], None if joined == groups[0] else f"{joined} to {groups[0]}"


def _intensity(corpus: str, rule: Rule, label: str, policies: Policies) -> tuple[str | None, str | None]:
    """EI-reg: the affect dimension, where its intensity reaches the threshold (papers/000 III-C2c)."""
    dimension, _, value = label.partition("=")
    name = _name(corpus, rule, dimension.strip())
    threshold = policies.get("intensity", rule.policies["intensity"].default)
    intensity = _fraction(f"label {label!r} of {corpus}", value)
    kept = intensity >= _fraction(f"label policy 'intensity' of {corpus}", threshold)
    note = f"intensity {value.strip()} {'at least' if kept else 'below'} policy intensity={threshold}"
    return (rule.labels[name], note) if kept else (None, f"{note}, dropped")


def _fraction(what: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise BadInputError(f"{what}: {text!r} is not a number from 0 to 1")
    return value
