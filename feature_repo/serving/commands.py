"""The commands that offer a store to others: which databases Feast uses, the HTTP server, the Arrow Flight server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.syntax import Syntax

from feature_repo.console import RootOption, console, err

if TYPE_CHECKING:
    from feature_repo.store import Store

HostOption = Annotated[
    str, typer.Option("--host", help="Address to listen at; others than this machine's want OIDC and TLS.")
]
CertOption = Annotated[
    Path | None, typer.Option("--cert", help="File of a TLS certificate.", show_default=False)
]
KeyOption = Annotated[Path | None, typer.Option("--key", help="File of its private key.", show_default=False)]


def add_commands(app: typer.Typer) -> None:
    """Add the commands of serving to the command line."""
    app.command("feast-config")(feast_config)
    app.command()(serve)
    app.command("serve-offline")(serve_offline)


def feast_config(
    online: Annotated[
        str | None,
        typer.Option(
            help="Online store: [cyan]redis://HOST[/cyan], [cyan]rediss://HOST[/cyan] over TLS, "
            "[cyan]postgresql://USER@HOST/DATABASE[/cyan] or [cyan]sqlite[/cyan].",
            show_default="as it is",
        ),
    ] = None,
    registry: Annotated[
        str | None,
        typer.Option(
            help="Registry: [cyan]postgresql://USER@HOST/DATABASE[/cyan] or [cyan]sqlite[/cyan].",
            show_default="as it is",
        ),
    ] = None,
    oidc: Annotated[
        str | None,
        typer.Option(
            help="Discovery URL of the OpenID Connect issuer whose tokens the servers ask for; empty for none.",
            show_default="as it is",
        ),
    ] = None,
    client_id: Annotated[
        str | None, typer.Option(help="OIDC client whose roles Feast's permissions name.", show_default=False)
    ] = None,
    project: Annotated[
        str | None,
        typer.Option(
            help="Feast's name of this store, which tells stores in one database apart.",
            show_default="a new one where databases are shared",
        ),
    ] = None,
    root: RootOption = None,
) -> None:
    """Say which databases Feast uses for this store, or show it. The store keeps it, so that everyone uses the same.

    A password is named, not written: [cyan]${VARIABLE}[/cyan], in single quotes, and the variable exported wherever the
    store is used.

    Example: [cyan]affectstore feast-config --online 'redis://:${REDIS_PASSWORD}@cache:6379' --registry
    'postgresql://affect:${PG_PASSWORD}@db/feast'[/cyan]
    """
    from feature_repo.feast_config import configuration_place, configuration_text, write_configuration
    from feature_repo.store import open_store

    store = open_store(root)
    given = {"online": online, "registry": registry, "oidc": oidc, "client_id": client_id, "project": project}
    if any(value is not None for value in given.values()):
        place = write_configuration(store, **given)
        console.print(f"written: [bold]{escape(place)}[/bold]", soft_wrap=True)
    place = configuration_place(store)
    console.print(Syntax(configuration_text(store), "yaml", background_color="default", word_wrap=True))
    console.print(f"in use: {escape(place)}", soft_wrap=True)
    if any(value is not None for value in given.values()):
        console.print("next: [cyan]affectstore materialize[/cyan]")


def serve(
    host: HostOption = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.", min=1, max=65535)] = 6566,
    workers: Annotated[int, typer.Option(help="Processes that answer.", min=1)] = 1,
    cert: CertOption = None,
    key: KeyOption = None,
    registry_ttl: Annotated[
        int, typer.Option(help="Seconds after which new views and services are seen.", min=1)
    ] = 10,
    access_log: Annotated[bool, typer.Option("--access-log", help="Print a line for each request.")] = False,
    root: RootOption = None,
) -> None:
    """Answer online lookups over HTTP: Feast's feature server, for reading alone. Ctrl-C stops it.

    Vectors come as JSON numbers, with [cyan]?vectors=bytes[/cyan] as base64 of float32, or as an Arrow stream. It shows
    its URL and a request to try.

    Example: [cyan]affectstore serve --port 6566 --workers 2[/cyan]
    """
    from feature_repo.store import open_store

    store = open_store(root)
    with err.status("starting the feature server"):
        from feature_repo.serving.http_server import Listening, serve_http  # imports feast

        at = Listening(host, port, cert, key)
        shown = _example(store)
    token = " -H 'Authorization: Bearer TOKEN'" if _asks_for_tokens(store) else ""

    def ready() -> None:
        console.print(
            f"serving [bold]{escape(store.root)}[/bold] at [bold]{at.url}[/bold], Ctrl-C stops it",
            soft_wrap=True,
        )
        console.print(
            f"try: curl -X POST {at.url}/get-online-features -H 'Content-Type: application/json'{token} -d '{shown}'",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

    serve_http(store, at, workers=workers, registry_ttl_s=registry_ttl, access_log=access_log, ready=ready)


def serve_offline(
    host: HostOption = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port.", min=1, max=65535)] = 8815,
    cert: CertOption = None,
    key: KeyOption = None,
    root: RootOption = None,
) -> None:
    """Answer Feast's historical requests by Arrow Flight, sequences included. Ctrl-C stops it.

    It shows the [cyan]feature_store.yaml[/cyan] of a client, which needs the registry as well.

    Example: [cyan]affectstore serve-offline --port 8815[/cyan]
    """
    from feature_repo.store import open_store

    store = open_store(root)
    with err.status("starting the offline server"):
        from feature_repo.serving.flight_server import serve_flight  # imports feast
        from feature_repo.serving.http_server import Listening

        at = Listening(host, port, cert, key)

    def ready() -> None:
        console.print(
            f"serving [bold]{escape(store.root)}[/bold] by Arrow Flight at [bold]{host}:{port}[/bold], Ctrl-C stops it",
            soft_wrap=True,
        )
        console.print("a client's feature_store.yaml:")
        console.print(
            Syntax(_client_configuration(store, at.host, at.port, cert), "yaml", background_color="default")
        )

    serve_flight(store, at, ready=ready)


def _asks_for_tokens(store: Store) -> bool:
    from feature_repo.feast_config import configuration

    auth = configuration(store).get("auth")
    return isinstance(auth, dict) and auth.get("type") not in (None, "no_auth")


def _example(store: Store) -> str:
    """A request body that this store can answer."""
    import json

    from feature_repo.feast_objects import service_views
    from feature_repo.feast_store import open_feast

    feast = open_feast(store)
    loaded = {view.name for view in feast.list_feature_views() if view.materialization_intervals}
    services = {
        name: views
        for name, views in service_views(feast.list_feature_services()).items()
        if loaded.issuperset(views)
    }
    if not services:
        err.print(
            "[yellow]nothing is in the online store yet[/yellow]: run [cyan]affectstore materialize[/cyan]"
        )
    # A profile's own name before the immutable one, and the most modalities.
    best = max(services, key=lambda name: (len(services[name]), -len(name)), default="SERVICE")
    manifest = store.manifest()
    ids = manifest["utterance_id"].head(1).to_list() if manifest.height else ["UTTERANCE"]
    return json.dumps({"feature_service": best, "entities": {"utterance_id": ids}})


def _client_configuration(store: Store, host: str, port: int, cert: Path | None) -> str:
    import yaml  # comes with feast

    from feature_repo.feast_config import CONFIG, configuration_text, filled_in

    raw = yaml.safe_load(configuration_text(store))
    registry = raw["registry"]
    if "sqlite" in str(registry.get("path", "")):
        registry = filled_in(store, yaml.safe_dump({"registry": registry}), CONFIG)["registry"]
    offline = {"type": "remote", "host": host, "port": port}
    if cert is not None:
        offline |= {"scheme": "https", "cert": str(cert)}
    client = {"project": raw["project"], "provider": "local", "registry": registry, "offline_store": offline}
    client |= {"auth": raw["auth"]} if "auth" in raw else {}
    client |= {"entity_key_serialization_version": 3}
    return str(yaml.safe_dump(client, sort_keys=False))
