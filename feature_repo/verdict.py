"""The verdict: which utterances pass, and why the others do not, as a pure expression over stored measures.

Nothing is read here and nothing kept: another threshold is another call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from feature_repo.errors import BadInputError, UnknownNameError
from feature_repo.measures import Measures
from feature_repo.quality_config import CHECKS, QualityConfig

UNMEASURED = "unmeasured"
# Reason -> (its check, what a person calls it), in the paper's order (papers/000 III-D).
_REASONS: Mapping[str, tuple[str, str]] = {
    "composite": ("speaker", "several speakers"),
    "offscreen": ("review", "speaker off screen (reviewed)"),
    "misaligned": ("review", "video and text misaligned (reviewed)"),
    "undecodable": ("audio", "no sound to decode"),
    "silent": ("audio", "silent"),
    "no_transcript": ("transcript", "not transcribed"),
    "empty_transcript": ("transcript", "empty transcript"),
    "cosine": ("alignment", "transcript and text differ in meaning"),
    "levenshtein": ("alignment", "transcript and text differ in length or letters"),
    "no_picture": ("face", "no picture to decode"),
    "no_face": ("face", "no face in any frame"),
    "no_reference": ("face", "no reference face of the speaker"),
    "no_match": ("face", "no face is the speaker's"),
}
# Reason code -> words, in the paper's order; what was not measured comes last and is no removal.
REASONS: Mapping[str, str] = {
    **{code: words for code, (_, words) in _REASONS.items()},
    UNMEASURED: "not measured",
}
# Check -> (the slot that it reads, the commands that fill it).
_NEEDS: Mapping[str, tuple[str, str]] = {
    "audio": ("level", "affectstore extract -e level"),
    "transcript": ("transcript", "affectstore extract -e fasterwhisper"),
    "alignment": ("alignment", "affectstore extract -e fasterwhisper, then affectstore derive"),
    "face": ("match", "affectstore extract -e facenet512, then affectstore derive"),
}
_MEASURED = ("present", "nothing")
_WAITING = ("missing", "stale")


def judge(measures: Measures, config: QualityConfig) -> pl.DataFrame:
    """Judge every utterance by the checks that the config asks of its corpus.

    A measure at its threshold passes. An utterance that fails no check but lacks a measure is ``unmeasured``: it has
    not passed, and it was not removed. A failed medium fails the check that needed it. Someone whose name nobody knows
    has no reference to be held against: there a face is enough.

    Args:
        measures: what :func:`~feature_repo.measures.read_measures` gave, or rows made by hand.
        config: thresholds and checks.

    Returns:
        ``utterance_id``; ``passed``; ``reason``, the first in the paper's order as a code of ``REASONS``, null where it
        passed; ``reasons``, all of them in words with the numbers; one bool for each of ``CHECKS``, null where it was
        not asked for or could not be measured; ``unmeasured``, the checks that lack a measure; ``unsearched``: no face
        of the sampled frames matched, and the frames around them were not looked at.

    Raises:
        BadInputError: a check needs a slot that the profile lacks.
        NoThresholdError: a threshold is asked for in a space that has none.
    """
    frame = measures.frame
    corpora = frame["corpus"].unique().to_list()
    asked = {check: [c for c in corpora if check in config.checks(c)] for check in CHECKS}
    for check, (slot, command) in _NEEDS.items():
        if asked[check] and f"{slot}_state" not in frame.columns:
            raise BadInputError(
                f"check {check!r} of {', '.join(sorted(asked[check]))} needs the slot {slot!r}, which "
                f"{f'profile {measures.profile!r}' if measures.profile else 'the catalogue'} lacks: {command}; "
                f"or leave it out: --checks {','.join(_without(check, asked))}"
            )
    rules: list[_Rule] = []
    for check in CHECKS:
        if asked[check]:
            rules += _RULES[check](measures, config)
    # A rule's two halves are computed once and used under these names.
    flags = frame.lazy().with_columns(
        pl.col("corpus").is_in(asked[check]).alias(f"_asked_{check}") for check in CHECKS
    )
    flags = flags.with_columns(
        (pl.col(f"_asked_{_REASONS[rule.code][0]}") & rule.when.fill_null(False)).alias(f"_{rule.code}")
        for rule in rules
    )
    flags = flags.with_columns(
        (pl.col(f"_asked_{check}") & pl.col(f"{slot}_state").is_in(_WAITING)).alias(f"_waits_{check}")
        if asked[check]
        else pl.lit(False).alias(f"_waits_{check}")
        for check, (slot, _) in _NEEDS.items()
    )
    return flags.select(_columns(rules, asked, frame.columns)).collect()


class _Rule:
    """One reason: its code, when it holds, and its words.

    Args:
        code: of ``REASONS``.
        when: true where it holds; null counts as false.
        words: the reason with its numbers.
    """

    def __init__(self, code: str, when: pl.Expr, words: pl.Expr | None = None) -> None:
        self.code, self.when = code, when
        self.words = pl.lit(REASONS[code]) if words is None else words


def _columns(
    rules: Sequence[_Rule], asked: Mapping[str, Sequence[str]], known: Sequence[str]
) -> list[pl.Expr]:
    failed = {rule.code: pl.col(f"_{rule.code}") for rule in rules}
    waits = {check: pl.col(f"_waits_{check}") for check in _NEEDS}
    any_failed = pl.any_horizontal(*failed.values()) if failed else pl.lit(False)
    any_waits = pl.any_horizontal(*waits.values())
    first = pl.coalesce(
        *(pl.when(holds).then(pl.lit(code)) for code, holds in failed.items()),
        pl.when(any_waits).then(pl.lit(UNMEASURED)),
    )
    words = [pl.when(failed[rule.code]).then(rule.words) for rule in rules]
    words.append(pl.when(pl.lit(False)).then(pl.lit("")))  # so that there is a list without any rule too
    checks = []
    for check in CHECKS:
        of_check = [holds for code, holds in failed.items() if _REASONS[code][0] == check]
        fails = pl.any_horizontal(*of_check) if of_check else pl.lit(False)
        judged = pl.col(f"_asked_{check}") & ~(waits[check] if check in waits else pl.lit(False))
        checks.append(pl.when(judged | fails).then(~fails).alias(check))
    lacking = [pl.when(holds).then(pl.lit(check)) for check, holds in waits.items()]
    unsearched = pl.lit(False)
    if asked["face"]:
        # Where there is a reference to look for; without one no search would help.
        unsearched = (failed["no_face"] | failed["no_match"]) & (pl.col("match_reference") == 1)
        if "offsetmatch_state" in known:
            unsearched = unsearched & ~pl.col("offsetmatch_state").is_in(_MEASURED)
        if "faces_whole" in known:  # nothing was detected in these pictures, nor would it be around them
            unsearched = unsearched & (pl.col("faces_whole").fill_null(0) != 1)
    return [
        pl.col("utterance_id"),
        (~any_failed & ~any_waits).alias("passed"),
        first.alias("reason"),
        pl.concat_list(words).list.drop_nulls().alias("reasons"),
        *checks,
        pl.concat_list(lacking).list.drop_nulls().alias("unmeasured"),
        unsearched.fill_null(False).alias("unsearched"),
    ]


def _speaker(measures: Measures, config: QualityConfig) -> list[_Rule]:
    composite = pl.col("speaker_raw").is_not_null() & pl.col("speaker_id").is_null()
    return [_Rule("composite", composite, pl.format("several speakers: {}", "speaker_raw"))]


def _review(measures: Measures, config: QualityConfig) -> list[_Rule]:
    return [_Rule(code, pl.col("review") == code) for code in ("offscreen", "misaligned")]


def _audio(measures: Measures, config: QualityConfig) -> list[_Rule]:
    peak = _float32("level_peak_db")
    words = _below("peak", peak, config.peak_db, "dBFS", 1)
    return [
        _Rule("undecodable", _failed("level"), _why("undecodable", "level")),
        _Rule("silent", peak < _limit(config.peak_db), words),
    ]


def _transcript(measures: Measures, config: QualityConfig) -> list[_Rule]:
    return [
        _Rule("no_transcript", _failed("transcript"), _why("no_transcript", "transcript")),
        _Rule("empty_transcript", pl.col("transcript_state") == "nothing"),
    ]


def _alignment(measures: Measures, config: QualityConfig) -> list[_Rule]:
    cosine, levenshtein = _float32("alignment_cosine"), _float32("alignment_levenshtein")
    at = config.text_cosine(_space(measures.encoder))
    # Where one of the two texts is empty, or could not be had, there is nothing that agrees.
    incomparable = _failed("alignment") | (pl.col("alignment_state").is_in(_MEASURED) & cosine.is_null())
    return [
        _Rule(
            "cosine",
            incomparable | (cosine < _limit(at)),
            pl.when(incomparable)
            .then(_why("transcript and text can't be compared", "alignment"))
            .otherwise(_below("cosine", cosine, at)),
        ),
        _Rule(
            "levenshtein",
            levenshtein < _limit(config.levenshtein),
            _below("Levenshtein similarity", levenshtein, config.levenshtein),
        ),
    ]


def _face(measures: Measures, config: QualityConfig) -> list[_Rule]:
    at = config.face_similarity(_space(measures.embedder))
    best, seen = _float32("match_similarity"), pl.col("match_faces").fill_null(0) > 0
    if "offsetmatch_state" in measures.frame.columns:
        # What was found around a sampled frame counts like the frame itself.
        best = pl.max_horizontal(best, _float32("offsetmatch_similarity"))
        seen = seen | (pl.col("offsetmatch_faces").fill_null(0) > 0)
    measured = pl.col("match_state").is_in(_MEASURED)
    nobody_known = pl.col("speaker_id").is_null() & pl.col("speaker_raw").is_null()
    known = pl.col("match_reference").fill_null(0) == 1
    return [
        _Rule("no_picture", _failed("match"), _why("no_picture", "match")),
        _Rule("no_face", measured & ~seen, pl.format("no face in {} frames", "match_frames")),
        _Rule(
            "no_reference",
            measured & seen & ~known & ~nobody_known,
            pl.format(
                "no reference face of {}", pl.coalesce("speaker_id", "speaker_raw", pl.lit("the speaker"))
            ),
        ),
        _Rule(
            "no_match",
            measured & seen & known & (best < _limit(at)).fill_null(True),
            pl.coalesce(_below("best face similarity", best, at), pl.lit(REASONS["no_match"])),
        ),
    ]


_RULES = {
    "speaker": _speaker,
    "review": _review,
    "audio": _audio,
    "transcript": _transcript,
    "alignment": _alignment,
    "face": _face,
}


def _failed(slot: str) -> pl.Expr:
    """Nothing could be measured, and trying again would not help: a fault, or nothing to measure it of."""
    return pl.col(f"{slot}_state").is_in(["faulted", "inapplicable"])


def _why(what: str, slot: str) -> pl.Expr:
    words = REASONS.get(what, what)
    return pl.coalesce(pl.format(f"{words}: {{}}", f"{slot}_note"), pl.lit(words))


def _float32(column: str) -> pl.Expr:
    # Measures are stored in float32: 0.7 is a little less there, and must still reach a threshold of 0.7.
    return pl.col(column).cast(pl.Float32)


def _limit(value: float) -> pl.Expr:
    return pl.lit(value, pl.Float32)


def _below(what: str, measure: pl.Expr, at: float, unit: str = "", digits: int = 2) -> pl.Expr:
    # Rounded down where rounding would lift it to the threshold: "0.30 below 0.3" helps nobody.
    scale = 10**digits
    exact = measure.cast(pl.Float64)
    rounded = (exact * scale).round() / scale
    shown = pl.when(rounded < at).then(rounded).otherwise((exact * scale).floor() / scale)
    return pl.format(f"{what} {{}} below {at:g}{' ' + unit if unit else ''}", shown.round(digits))


def _space(name: str | None) -> str:
    if name is None:
        raise BadInputError("the measures do not say in which space they were compared (embedder, encoder)")
    return name


def _without(check: str, asked: Mapping[str, Sequence[str]]) -> list[str]:
    return [name for name in CHECKS if name != check and asked[name]] or ["review"]


def check_of(reason: str) -> str | None:
    """The check that gives this reason; None for ``unmeasured``.

    Raises:
        UnknownNameError: no such reason.
    """
    if reason == UNMEASURED:
        return None
    if reason not in _REASONS:
        raise UnknownNameError("reason", reason, REASONS)
    return _REASONS[reason][0]


def command_for(check: str) -> str:
    """The commands that compute what a check reads.

    Raises:
        UnknownNameError: a check that reads no measure.
    """
    if check not in _NEEDS:
        raise UnknownNameError("check with a measure", check, _NEEDS)
    return _NEEDS[check][1]
