"""What a pull is asked for: slots or views, each under its slot's name or under an alias."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from feature_repo.errors import BadInputError

if TYPE_CHECKING:
    from feature_repo.store import Store

# What callers may pass: names, texts ``alias=name``, or a mapping of alias to name.
Slots = Sequence[str] | Mapping[str, str]

# An alias names arrays of an archive and columns of a table, beside those that a training set has of its own.
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_TAKEN = frozenset(("ids", "labels", "classes", "snapshot", "utterance_id", "label", "target"))
_TAKEN_ENDS = ("_present", "_offsets", "_content_key", "_mask")
_TAKEN_START = "dialogue"


@dataclass(frozen=True)
class SlotRequest:
    """One part of a pull.

    Attributes:
        name: a slot or a view.
        alias: what the training set shall call it; None for the view's slot.
    """

    name: str
    alias: str | None = None


def slot_requests(slots: Slots) -> list[SlotRequest]:
    """The parts that are asked for: ``"text"``, ``"raw=text_sentence_1a2b3c4d"`` or ``{"raw": "text_sentence_…"}``.

    Raises:
        BadInputError: an alias that can't name an array, or one that is given twice.
    """
    if isinstance(slots, Mapping):
        asked = [SlotRequest(name, alias) for alias, name in slots.items()]
    else:
        asked = [_parsed(text) for text in ([slots] if isinstance(slots, str) else slots)]
    seen: dict[str, str] = {}
    for request in asked:
        if request.alias is not None:
            _check(request.alias)
            if request.alias in seen:
                raise BadInputError(
                    f"alias {request.alias!r} is given twice, to {seen[request.alias]} and {request.name}"
                )
            seen[request.alias] = request.name
    return asked


def asked_views(store: Store, slots: Slots, profile: str | None = None) -> dict[str, str]:
    """Alias, or slot where there is none, to view, in the order of asking.

    Raises:
        UnknownNameError: a slot, view or profile that does not exist.
        AmbiguousViewError: a slot that means different views.
        BadInputError: nothing is asked for, two parts would have one name, or a view of records or speakers.
    """
    asked = slot_requests(slots)
    if not asked:
        raise BadInputError("pull needs at least one slot or view")
    views: dict[str, str] = {}
    for request in asked:
        view = store.resolve(request.name, profile)
        recipe = store.recipe(view)
        if recipe.layout == "record" or recipe.entity == "speaker":
            what = (
                "records, which are no features" if recipe.layout == "record" else "one row for each speaker"
            )
            raise BadInputError(
                f"{request.name!r} can't be pulled: {view} holds {what}; read it with "
                f"`feature_repo.records.current_rows(store, {view!r}, store.manifest())`, or with Feast"
            )
        key = request.alias or recipe.slot
        if key in views:
            raise BadInputError(
                f"{views[key]} and {view} are both asked for as {key!r}; name one of them by an alias: "
                f"other_{recipe.slot}={view}, in Python {{'other_{recipe.slot}': {view!r}}}"
            )
        views[key] = view
    return views


def _parsed(text: str) -> SlotRequest:
    alias, equals, name = text.partition("=")
    if not equals:
        return SlotRequest(text)
    if not name.strip():
        raise BadInputError(f"{text!r}: expected ALIAS=VIEW or ALIAS=SLOT")
    return SlotRequest(name.strip(), alias.strip())


def _check(alias: str) -> None:
    if not _ALIAS.fullmatch(alias):
        raise BadInputError(f"alias {alias!r}: letters, digits and '_', a letter first")
    if alias in _TAKEN or alias.endswith(_TAKEN_ENDS) or alias.startswith(_TAKEN_START):
        raise BadInputError(
            f"alias {alias!r} is taken by a training set's own arrays: none may be {', '.join(sorted(_TAKEN))}, "
            f"start with {_TAKEN_START!r} or end with {', '.join(_TAKEN_ENDS)}"
        )
