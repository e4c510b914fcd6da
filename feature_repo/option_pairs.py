"""Options of the command line that name something and give it a value: ``--rule tess=train``."""

from collections.abc import Sequence

from feature_repo.errors import BadInputError


def option_pairs(flag: str, texts: Sequence[str] | None) -> dict[str, str]:
    """NAME=VALUE texts by name.

    Args:
        flag: what the option is called in errors.
        texts: what was given.

    Raises:
        BadInputError: a text without ``=``, or a name twice with two values.
    """
    pairs: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not name or not value:
            raise BadInputError(f"{flag} {text!r}: expected NAME=VALUE")
        if pairs.setdefault(name, value) != value:
            raise BadInputError(f"{flag} {name} is given twice: {pairs[name]!r} and {value!r}")
    return pairs
