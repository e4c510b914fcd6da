"""The HTTP application: Feast's feature server for reading alone, which tells a lost database from an absent value."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any

# FastAPI reads the endpoints' annotations: what they name must be importable from here.
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from feast import FeatureService
from feast.errors import FeatureServiceNotFoundException
from feast.feature_server import GetOnlineFeaturesRequest, _get_features, get_app
from feast.permissions.server.rest import inject_user_details

from feature_repo.errors import UnknownNameError
from feature_repo.serving.answers import ARROW, JSON, Vectors, any_absent, arrow_answer, json_answer
from feature_repo.serving.online_backend import online_backend

if TYPE_CHECKING:
    from collections.abc import Callable

    from feast import FeatureStore

# Feast's server can also write to the online store, load it, and chat: nothing for whoever wants to read.
_KEPT = ("/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc")
_GONE = "the online store does not answer"


def reading_app(feast: FeatureStore, registry_ttl_s: int, hide: Callable[[object], str] = str) -> FastAPI:
    """Feast's application with two endpoints, ``POST /get-online-features`` and ``GET /health``.

    Args:
        feast: the feature store.
        registry_ttl_s: seconds after which new views and services are seen.
        hide: takes secrets out of an error's text.
    """
    app: FastAPI = get_app(feast, registry_ttl_s)
    app.router.routes = [route for route in app.router.routes if getattr(route, "path", "") in _KEPT]
    app.title = "affectstore feature server"
    served: set[str] = set()  # views that were found to be: a view's layout never changes

    @app.post("/get-online-features", dependencies=[Depends(inject_user_details)])
    async def get_online_features(
        request: GetOnlineFeaturesRequest, http: Request, vectors: Vectors = "floats"
    ) -> Response:
        """Features of these entities, by feature service or by `view:feature`.

        `?vectors=bytes` gives each vector as the base64 text of its little-endian float32 values; the header
        `Accept: application/vnd.apache.arrow.stream` gives one Arrow table.
        """
        try:
            features = await _get_features(request, feast)
        except FeatureServiceNotFoundException:
            known = (
                service.name
                for service in feast.registry.list_feature_services(feast.project, allow_cache=True)
            )
            raise HTTPException(
                404, str(UnknownNameError("service", str(request.feature_service), known))
            ) from None
        views = _views(features)
        if not served.issuperset(views):
            await run_in_threadpool(_check_served, feast, views)
            served.update(views)
        asked: dict[str, Any] = {
            "features": features,
            "entity_rows": request.entities,
            "full_feature_names": request.full_feature_names,
        }
        try:
            if feast.provider.async_supported.online.read:
                found = await feast.get_online_features_async(**asked)
            else:
                found = await run_in_threadpool(lambda: feast.get_online_features(**asked))
            if any_absent(found.proto):
                await run_in_threadpool(_check_held, feast, views)
        except _driver_errors() as error:
            raise HTTPException(503, f"{_GONE}: {hide(error)}") from error
        except (KeyError, ValueError) as error:  # Feast's, of entities that don't fit
            raise HTTPException(422, str(error.args[0] if error.args else error)) from error
        if ARROW in http.headers.get("accept", ""):
            return Response(
                await run_in_threadpool(arrow_answer, found.proto, request.entities), media_type=ARROW
            )
        return Response(await run_in_threadpool(json_answer, found.proto, vectors), media_type=JSON)

    @app.get("/health")
    def health() -> Response:
        """200 when the registry and the online store answer."""
        try:
            feast.registry.list_projects(allow_cache=True)
            online_backend(feast).holds("")
        except Exception as error:  # whatever it is, the server can't answer
            raise HTTPException(503, hide(error)) from error
        return Response(status_code=200)

    return app


def _views(features: FeatureService | list[str]) -> list[str]:
    if isinstance(features, FeatureService):
        return [projection.name for projection in features.feature_view_projections]
    return list(dict.fromkeys(name.partition(":")[0] for name in features))


def _check_served(feast: FeatureStore, views: list[str]) -> None:
    registered = {
        view.name: view for view in feast.registry.list_feature_views(feast.project, allow_cache=True)
    }
    for view in views:
        if view not in registered:
            raise HTTPException(404, str(UnknownNameError("view", view, registered)))
        if not registered[view].online:
            raise HTTPException(
                422, f"{view} holds sequences, which are not served online: use `pull`, or history"
            )


def _check_held(feast: FeatureStore, views: list[str]) -> None:
    """An absent value is an answer only while its view is loaded: a database that was emptied has nobody's."""
    backend = online_backend(feast)
    for view in views:
        loaded = feast.get_feature_view(view, allow_registry_cache=True).materialization_intervals
        if not loaded or not backend.holds(view):
            raise HTTPException(
                503, f"{view} is not in the online store: run `affectstore materialize {view}`"
            )


def _driver_errors() -> tuple[type[BaseException], ...]:
    found: list[type[BaseException]] = [sqlite3.Error, OSError]
    try:
        import psycopg  # an extra

        found.append(psycopg.Error)
    except ImportError:
        pass
    try:
        import redis  # an extra

        found.append(redis.RedisError)
    except ImportError:
        pass
    return tuple(found)
