"""Which databases a store's Feast side uses: its configuration, written by a command and read by everyone.

The store's own configuration lies in the store, ``feast/feature_store.yaml``, so that whoever opens the store uses the
same databases. ``FEAST_FS_YAML_FILE_PATH`` overrules it; without either, two SQLite files below the root serve.
"""

from __future__ import annotations

import math
import os
import re
import secrets
import string
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from feature_repo.errors import AffectStoreError, BadInputError, StoreFormatError
from feature_repo.recipe import digest

if TYPE_CHECKING:
    from feature_repo.store import Store

FEAST = "feast"  # folder of the registry, the online store and the configuration, below the root
CONFIG = f"{FEAST}/feature_store.yaml"
ONLINE_FILE = f"{FEAST}/online.db"  # the online store, where the configuration names no other
YAML_VARIABLE = "FEAST_FS_YAML_FILE_PATH"  # Feast's own name for it
PACKAGED = Path(__file__).parent / "feature_store.yaml"
_PROJECT = "affectstore"
_REFERENCE = re.compile(r"\$\{([A-Za-z_]\w*)\}")
_FILLED_IN = re.compile(r"\$\{?([A-Za-z_]\w*)")  # without braces too, where the variable is set
_SECRET = re.compile(r"PASSW|SECRET|TOKEN|_PW", re.IGNORECASE)
_PASSWORD = re.compile(r"password[=:][^,\n]*")
_HEADER = """\
# Written by `affectstore feast-config`. Passwords stand in the environment's variables that are named here.
# For the plain Feast commands: cd feature_repo, export AFFECTSTORE_ROOT=<the store> FEAST_FS_YAML_FILE_PATH=<this file>
"""


def configuration(store: Store) -> dict[str, object]:
    """Feast's configuration for this store, variables filled in.

    Raises:
        StoreFormatError: the store is on an object store, and no configuration names its databases.
        BadInputError: the configuration is unreadable, or a variable that it names is not set.
    """
    where = configuration_place(store)
    if where == str(PACKAGED) and not store.files.is_local:
        raise StoreFormatError(
            f"{store.root} is not on a local disk, and Feast's registry and online store can't be SQLite files there: "
            "name others: `affectstore feast-config --online redis://HOST --registry postgresql://USER@HOST/NAME`, or "
            f"set {YAML_VARIABLE} to a configuration"
        )
    return filled_in(store, configuration_text(store), where)


def configuration_place(store: Store) -> str:
    """Path or URL of the configuration that is used: the environment's, the store's own, or the packaged one."""
    if named := os.environ.get(YAML_VARIABLE):
        return named
    return store.files.url(CONFIG) if store.files.exists(CONFIG) else str(PACKAGED)


def configuration_text(store: Store) -> str:
    """The configuration that is used, as it is written.

    Raises:
        BadInputError: it is unreadable.
    """
    where = configuration_place(store)
    try:
        if where == store.files.url(CONFIG):
            return store.files.read(CONFIG).decode()
        return Path(where).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"Feast's configuration {where} is unreadable: {error}") from error


def filled_in(store: Store, text: str, where: str) -> dict[str, object]:
    """Parse a configuration and fill in the environment's variables, the root of this store among them.

    Raises:
        BadInputError: it is no mapping, or a variable is not set.
    """
    import yaml  # the base installation lacks it

    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadInputError(f"Feast's configuration {where} is unreadable: {error}") from error
    if not isinstance(raw, dict):
        raise BadInputError(f"Feast's configuration {where} is not a mapping of settings")
    # Feast expands the environment's variables; the root may have been given by other means.
    values = {**os.environ, "AFFECTSTORE_ROOT": store.files.url("")}
    for name in sorted(_references(raw)):
        if name not in values:
            raise BadInputError(f"{where} names the variable {name}, which is not set: export {name}=...")
    filled = _expanded(raw, values)
    assert isinstance(filled, dict)
    return filled


def online_identity(store: Store) -> str:
    """Which online store the configuration names, as 16 hexadecimal digits: another one was not loaded with this one.

    Raises:
        BadInputError: the configuration is unreadable.
    """
    import yaml  # the base installation lacks it

    # As it is written: neither a moved root nor a new password makes it another.
    raw = yaml.safe_load(configuration_text(store))
    named = yaml.safe_dump([raw.get("project"), raw.get("online_store")], width=math.inf)
    return digest(_PASSWORD.sub("", named))[:16]


def hide_secrets(store: Store, message: object) -> str:
    """A message without the values that the configuration takes from the environment, passwords among them."""
    told = str(message)
    try:
        names = set(_FILLED_IN.findall(configuration_text(store))) - {"AFFECTSTORE_ROOT"}
    except AffectStoreError:  # the store may be what does not answer
        names = set(filter(_SECRET.search, os.environ))
    for name in names:
        if value := os.environ.get(name):
            told = told.replace(value, f"${{{name}}}")
    return told


def write_configuration(
    store: Store,
    *,
    online: str | None = None,
    registry: str | None = None,
    oidc: str | None = None,
    client_id: str | None = None,
    project: str | None = None,
) -> str:
    """Write which databases the store uses; what is not given stays as it is.

    Args:
        store: the store.
        online: URL of the online store, see :func:`feature_repo.serving.database_urls.online_settings`.
        registry: URL of the registry.
        oidc: discovery URL of an OpenID Connect issuer whose tokens the servers ask for; empty for none.
        client_id: the client whose roles count, where Feast permissions tell roles apart.
        project: Feast's name of the store, which keeps several stores in one database apart. By default a new one,
            but the one in use when nothing moves to a database that stores share.

    Returns:
        The configuration's path or URL.

    Raises:
        BadInputError: a URL of another kind, or one that holds a password; a project that Feast does not take.
        StoreFormatError: SQLite files were asked for, and the store is not on a local disk.
    """
    import yaml  # the base installation lacks it

    from feature_repo.serving.database_urls import SQLITE, online_settings, registry_settings

    # The environment's configuration is another one, which nobody asked us to change.
    text = store.files.read(CONFIG).decode() if store.files.exists(CONFIG) else PACKAGED.read_text("utf-8")
    settings = yaml.safe_load(text)
    if client_id and not oidc:
        raise BadInputError("a client id is one of an issuer's: give --oidc DISCOVERY_URL too")
    before = (settings["online_store"], settings["project"])
    if online is not None:
        settings["online_store"] = online_settings(online)
    if registry is not None:
        settings["registry"] = registry_settings(registry)
    if oidc is not None:
        settings.pop("auth", None)
        if oidc:
            settings["auth"] = {"type": "oidc", "auth_discovery_url": oidc}
            settings["auth"] |= {"client_id": client_id} if client_id else {}
    shared = any(url not in (None, SQLITE) for url in (online, registry))
    if project:
        settings["project"] = _checked(project)
    elif shared and settings["project"] == _PROJECT:
        settings["project"] = f"affect_{secrets.token_hex(4)}"
    if not store.files.is_local and "${AFFECTSTORE_ROOT}" in yaml.safe_dump(settings):
        raise StoreFormatError(
            f"{store.root} is not on a local disk, where SQLite's files would have to be: give both --online and "
            "--registry"
        )
    if before != (settings["online_store"], settings["project"]) and before[0].get("type") != "sqlite":
        warnings.warn(
            "what was loaded into the online store that was used until now stays there, out of reach of `forget` and "
            "`drop`: voices and faces are biometric data, so empty it",
            stacklevel=2,
        )
    store.files.write(CONFIG, (_HEADER + yaml.safe_dump(settings, sort_keys=False, width=200)).encode())
    return store.files.url(CONFIG)


def _checked(project: str) -> str:
    # PostgreSQL's names end at 63 characters, and a view's name follows the project's.
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,20}", project):
        raise BadInputError(
            f"{project!r} is no project: at most 21 lower-case letters, digits and underscores"
        )
    return project


def _references(value: object) -> set[str]:
    if isinstance(value, Mapping):
        return set().union(*map(_references, value.values()))
    if isinstance(value, list):
        return set().union(*map(_references, value))
    return set(_REFERENCE.findall(value)) if isinstance(value, str) else set()


def _expanded(value: object, values: Mapping[str, str]) -> object:
    if isinstance(value, dict):
        return {key: _expanded(each, values) for key, each in value.items()}
    if isinstance(value, list):
        return [_expanded(each, values) for each in value]
    return string.Template(value).safe_substitute(values) if isinstance(value, str) else value
