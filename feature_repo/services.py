"""Which feature services exist: one for each combination of a profile's pooled modalities.

A service ``<combination>_<hash8>`` means the same views for ever; ``<profile>_<combination>`` follows its profile.
"""

from collections.abc import Iterable, Mapping
from itertools import combinations

from feature_repo.errors import BadInputError
from feature_repo.recipe import digest

_ORDER = ("text", "speaker", "speech", "face", "audio")  # the papers' order; other modalities follow by name


def combination_name(slots: Iterable[str]) -> str:
    """Name of a combination of slots, such as ``text_speaker``, whatever their order."""
    return "_".join(_ordered(slots))


def immutable_name(views: Mapping[str, str]) -> str:
    """Name of the service that means exactly these views.

    Args:
        views: slot to view.
    """
    return f"{combination_name(views)}_{digest(sorted(views.values()))[:8]}"


def services_of(profiles: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[str, ...]]:
    """Every service that the profiles call for: name to views, in the combination's order.

    Args:
        profiles: profile to its pooled slots and their views.

    Raises:
        BadInputError: two profiles, such as ``a`` and ``a_text``, give one name to different views.
    """
    found: dict[str, tuple[str, ...]] = {}
    for profile, slots in sorted(profiles.items()):
        ordered = _ordered(slots)
        for size in range(1, len(ordered) + 1):
            for chosen in combinations(ordered, size):
                views = {slot: slots[slot] for slot in chosen}
                for name in (immutable_name(views), f"{profile}_{combination_name(chosen)}"):
                    if found.setdefault(name, tuple(views.values())) != tuple(views.values()):
                        raise BadInputError(
                            f"service {name!r} would mean {', '.join(found[name])} and, for profile {profile!r}, "
                            f"{', '.join(views.values())}: rename that profile"
                        )
    return found


def kept_services(
    registered: Mapping[str, tuple[str, ...]], slots: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """The registered services that stay though no profile calls for them: immutable ones whose views all exist.

    Args:
        registered: service to views, as Feast has them.
        slots: view to slot, of the views that exist.
    """
    return {
        name: views
        for name, views in registered.items()
        if all(view in slots for view in views)
        and name == immutable_name({slots[view]: view for view in views})
    }


def _ordered(slots: Iterable[str]) -> list[str]:
    return sorted(slots, key=lambda slot: (_ORDER.index(slot) if slot in _ORDER else len(_ORDER), slot))
