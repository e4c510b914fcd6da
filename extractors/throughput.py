"""How fast extractors were on this machine: kept in the user's cache, read by ``extract --plan``."""

import json
import tempfile
from pathlib import Path

from extractors.weights import cache_folder

# Fewer utterances mostly measure how long the first call takes.
WORTH_KEEPING = 50


def _record() -> Path:
    return cache_folder() / "throughput.json"


def past_rates() -> dict[str, float]:
    """Key to utterances per second, as :func:`remember` was told; empty when nothing was."""
    try:
        known = json.loads(_record().read_bytes())
        return {str(key): float(rate) for key, rate in known.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def remember(key: str, utterances: int, seconds: float) -> None:
    """Keep a measured rate, unless too little was measured.

    Args:
        key: extractor, fingerprint and device.
        utterances: how many were computed.
        seconds: in how much time.
    """
    if utterances < WORTH_KEEPING or seconds <= 0:
        return
    rates = past_rates() | {key: utterances / seconds}
    try:
        _record().parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=_record().parent, delete=False) as target:
            json.dump(rates, target, indent=1, sort_keys=True)
        Path(target.name).replace(_record())
    except OSError:
        return  # an estimate that can't be kept is no reason to fail
