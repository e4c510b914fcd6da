"""The extractor that filled a view, made again from what the store tells of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from extractors.registry import create
from feature_repo.errors import BadInputError

if TYPE_CHECKING:
    from extractors.protocol import Extractor
    from feature_repo.store import Store


def recorded(
    store: Store,
    view: str,
    settings: Mapping[str, str] | None = None,
    instead: Mapping[str, str] | None = None,
    *,
    named_by: str = "--faces KEY=VALUE",
) -> Extractor:
    """The extractor that filled a view, made again from what was told of it; its model is not loaded.

    Args:
        store: the store.
        view: the view.
        settings: replaces settings that were recorded, such as where a model lies.
        instead: settings in which the extractor is to differ from the view's.
        named_by: how the caller is told to name settings.

    Raises:
        BadInputError: the settings were not recorded, the weights are not at hand, or are others than the view's.
        UnknownNameError: a setting, or the extractor, does not exist.
    """
    recipe, told = store.recipe(view), store.provenance(view)
    if "settings" not in told and not settings:
        raise BadInputError(
            f"{view} does not tell the settings that its extractor had; give them with {named_by}"
        )
    given = {**json.loads(told.get("settings", "{}")), **(settings or {})}
    made = create(recipe.extractor, given)
    recipes = made.recipes().values()
    if recipe.fingerprint not in {each.fingerprint for each in recipes}:
        raise BadInputError(
            f"{recipe.extractor} as it is set now does not give {view} but {', '.join(r.view for r in recipes)}: "
            f"its weights or settings are others; name the right ones with {named_by}"
        )
    return create(recipe.extractor, {**given, **instead}) if instead else made
