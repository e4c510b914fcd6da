"""Files of settings in YAML: a mapping at the top, each key once, ``1e-5`` a number; errors that name file and key."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path
from typing import Any

from feature_repo.errors import BadInputError


def read_settings_file(path: Path) -> dict[str, Any]:
    """What a file holds.

    Raises:
        BadInputError: there is no such file, it is no YAML, a key is there twice, or its top is no mapping.
    """
    # Tens of milliseconds, and only a run needs them.
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        # Its loader takes 1e-5 for a number, which plain YAML 1.1 does not, and refuses a key that is there twice.
        with path.open(encoding="utf-8") as file:
            loaded = OmegaConf.to_container(OmegaConf.load(file), resolve=True)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(f"{path} can't be read: {reason}") from error
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        reason = " ".join(str(error).split())
        raise BadInputError(f"{path} is no YAML that can be used: {reason}") from error
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        raise BadInputError(f"{path}: a mapping of names to values is expected at the top")
    return {str(key): value for key, value in loaded.items()}


def unknown_key(where: str, key: str, allowed: Collection[str]) -> BadInputError:
    """The error of a key that does not exist: what it may have meant, and what is allowed."""
    near = difflib.get_close_matches(key, allowed, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return BadInputError(f"{where}: unknown key {key!r}; {hint}allowed: {', '.join(sorted(allowed))}")


def unknown_value(where: str, key: str, value: str, allowed: Collection[str]) -> BadInputError:
    """The error of a value that names nothing: what it may have meant, and what is allowed."""
    near = difflib.get_close_matches(value, allowed, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return BadInputError(
        f"{where}: key {key!r} is {value!r}; {hint}allowed: {', '.join(sorted(allowed)) or 'nothing yet'}"
    )
