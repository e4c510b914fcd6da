"""The Feast objects that describe a store: entities, one feature view per feature table, services."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from feature_repo.errors import BadInputError, StoreWriteError
from feature_repo.part import count_column, further_columns, key_column, rows_to_arrow
from feature_repo.recipe import ColumnType, Recipe, canonical_json
from feature_repo.services import kept_services, services_of

if TYPE_CHECKING:
    from feast import Entity, FeatureService, FeatureView, Field

    from feature_repo.feature_table import FeatureTable
    from feature_repo.store import Store

# The tags by which our views and services are known among others in the same registry.
VIEW_TAG = "fingerprint"
SERVICE_TAG = "slots"


@dataclass(frozen=True)
class FeastObjects:
    """Everything that Feast is told of a store.

    Attributes:
        entities: ``utterance`` and ``speaker``.
        views: view name to feature view.
        services: service name to feature service.
    """

    entities: tuple[Entity, ...]
    views: Mapping[str, FeatureView]
    services: Mapping[str, FeatureService]


def feast_objects(store: Store, registered: Mapping[str, tuple[str, ...]]) -> FeastObjects:
    """Describe every table of the store.

    Args:
        store: the store.
        registered: services that Feast has, name to views: an immutable one stays as long as its views do.

    Raises:
        BadInputError: a recipe is unreadable.
    """
    from feature_repo.feast_import import import_feast

    import_feast()
    from feast import Entity, FeatureService, ValueType

    utterance = Entity(
        name="utterance",
        join_keys=["utterance_id"],
        value_type=ValueType.STRING,
        description="One utterance of a conversation, unique over all corpora.",
    )
    speaker = Entity(
        name="speaker",
        join_keys=["speaker_id"],
        value_type=ValueType.STRING,
        description="A person who speaks, not a name.",
    )
    recipes = {view: store.recipe(view) for view in store.views()}
    about = {entity.name: entity for entity in (utterance, speaker)}
    views = {view: feature_view(store, recipe, about[recipe.entity]) for view, recipe in recipes.items()}
    services = {
        name: FeatureService(
            name=name,
            features=[views[view] for view in chosen],
            tags={SERVICE_TAG: ",".join(recipes[view].slot for view in chosen)},
        )
        for name, chosen in wanted_services(store, recipes, registered).items()
    }
    return FeastObjects((utterance, speaker), views, services)


def wanted_services(
    store: Store, recipes: Mapping[str, Recipe], registered: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[str, ...]]:
    """Service name to views: what the profiles call for, and the immutable services that exist already.

    Services combine the features of utterances: measures and speakers' rows are none.
    """
    pooled = {
        view: recipe.slot
        for view, recipe in recipes.items()
        if recipe.layout == "pooled" and recipe.entity == "utterance"
    }
    profiles = {
        profile: {slot: view for slot, view in store.catalog.slots(profile).items() if view in pooled}
        for profile in store.catalog.profiles()
    }
    return {**kept_services(registered, pooled), **services_of(profiles)}


def is_served(recipe: Recipe) -> bool:
    """Whether the recipe's rows go to the online store: vectors and records do, sequences do not.

    One corpus's frames are tens of gigabytes, and a server that answers with them as JSON serves nobody.
    """
    return recipe.layout != "steps"


def feature_view(store: Store, recipe: Recipe, entity: Entity) -> FeatureView:
    """The feature view of a recipe's table, about utterances or speakers."""
    from feast import FeatureView, FileSource
    from feast.data_format import ParquetFormat

    make_readable(store.table(recipe.view))
    source = FileSource(
        name=recipe.view,
        path=store.files.url(store.table(recipe.view).folder),
        file_format=ParquetFormat(),  # without it DuckDB takes no folder
        timestamp_field="event_timestamp",
        created_timestamp_column="created_timestamp",
    )
    return FeatureView(
        name=recipe.view,
        entities=[entity],
        schema=view_fields(recipe),
        source=source,
        ttl=timedelta(0),  # an embedding does not age
        online=is_served(recipe),
        description=_description(recipe),
        tags=view_tags(recipe, store.provenance(recipe.view)),
    )


def view_fields(recipe: Recipe) -> list[Field]:
    """The declared schema of a recipe's view: Feast's inference fails on lists of floats."""
    from feast import Field
    from feast.types import Array, Bytes, FeastType, Float32, Int32, Int64, String

    types: dict[ColumnType, FeastType] = {
        "float": Float32,
        "int": Int64,
        "text": String,
        "floats": Array(Float32),
        "texts": Array(String),
        "step": Array(Float32),
    }
    fields = [Field(name=key_column(recipe), dtype=String)]
    if recipe.layout == "pooled":
        fields.append(Field(name=recipe.slot, dtype=Array(Float32)))
    elif recipe.layout == "steps":
        fields.append(Field(name=recipe.slot, dtype=Bytes))
        fields.append(Field(name=count_column(recipe), dtype=Int32))
    fields += [
        Field(name=stored, dtype=types[recipe.columns[name]])
        for name, stored in further_columns(recipe).items()
    ]
    return fields


def _description(recipe: Recipe) -> str:
    if recipe.layout == "record":
        return f"{recipe.modality} records by {recipe.extractor}: {', '.join(recipe.columns)}"
    return f"{recipe.layout} {recipe.modality} features by {recipe.extractor}, {recipe.width} numbers each"


def view_tags(recipe: Recipe, provenance: Mapping[str, str]) -> dict[str, str]:
    """The recipe's fields as a view's tags, and its provenance under ``provenance.<key>``; empty values left out."""
    told = {
        "modality": recipe.modality,
        "extractor": recipe.extractor,
        "code_version": str(recipe.code_version),
        VIEW_TAG: recipe.fingerprint,
        "reads": recipe.reads,
        "layout": recipe.layout,
        "width": str(recipe.width),
        "dtype": recipe.dtype,
        "compute_dtype": recipe.compute_dtype,
        "weights": recipe.weights,
        "languages": ",".join(recipe.languages),
        "settings": canonical_json(dict(recipe.settings)) if recipe.settings else "",
        "inputs": ",".join(recipe.inputs),
        "manifest_columns": ",".join(recipe.manifest_columns),
        "columns": canonical_json(dict(recipe.columns)) if recipe.columns else "",
        "entity": recipe.entity if recipe.entity != "utterance" else "",
    }
    told |= {f"provenance.{key}": value for key, value in provenance.items()}
    return {key: value for key, value in told.items() if value}


def common_key(recipes: Sequence[Recipe]) -> str:
    """The join key that the recipes' views share: ``utterance_id`` or ``speaker_id``.

    Raises:
        BadInputError: some are about utterances and some about speakers.
    """
    keys = {key_column(recipe): recipe.view for recipe in recipes}
    if len(keys) > 1:
        told = " and ".join(f"{view} by {key}" for key, view in sorted(keys.items()))
        raise BadInputError(f"one question can't ask for {told}: ask for them one at a time")
    return next(iter(keys), "utterance_id")


def make_readable(table: FeatureTable) -> None:
    """See that DuckDB can read the table's folder: damaged parts in quarantine, and at least one part, if without rows.

    DuckDB fails a whole query on one bad file, and on a folder without any.
    """
    if not table.parts():
        with contextlib.suppress(
            StoreWriteError
        ):  # a store that this user may only read: Feast says the rest
            table.append_table(rows_to_arrow(table.recipe, [], 0), time.time_ns() // 1000, {})


def service_views(services: Iterable[FeatureService]) -> dict[str, tuple[str, ...]]:
    """Service name to the views that it reads, in their order."""
    return {
        service.name: tuple(projection.name for projection in service.feature_view_projections)
        for service in services
    }
