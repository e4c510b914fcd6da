"""URLs of databases, as a user gives them, and the Feast settings that they mean.

A password is never written down: a URL names the environment's variable that holds it, ``${NAME}``, which Feast fills
in when it reads its configuration.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

from feature_repo.errors import BadInputError

SQLITE = "sqlite"  # the word for a file below the store's root
REDIS_STORE = "feature_repo.serving.redis_store.PromptRedisOnlineStore"
POSTGRES_STORE = "feature_repo.serving.postgres_store.PooledPostgresOnlineStore"
_URL = re.compile(
    r"(?P<scheme>[a-z]+)://((?P<user>[^:@/]*)(:(?P<password>[^@]*))?@)?"
    r"(?P<host>\[[^\]]+\]|[^:/?@]+)(:(?P<port>\d+))?(/(?P<path>[^?]*))?(\?(?P<query>.*))?"
)
_REFERENCE = re.compile(r"\$\{[A-Za-z_]\w*\}")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
# Seconds after which a server that does not answer is an error to whoever asked.
_CONNECT_S = 5
_ANSWER_S = 20
_POSTGRES_OPTIONS = ("sslmode", "sslrootcert", "sslcert", "sslkey", "schema")


@dataclass(frozen=True)
class _Parts:
    scheme: str
    host: str
    port: str
    user: str
    password: str
    path: str
    options: Mapping[str, str]


def online_settings(url: str) -> dict[str, object]:
    """Feast's ``online_store`` for a URL.

    Args:
        url: ``redis://[user][:${PASSWORD}@]host[:port][/number]``, ``rediss://`` over TLS,
            ``postgresql://user[:${PASSWORD}]@host[:port]/database[?sslmode=...&schema=...]``, or ``sqlite``.

    Raises:
        BadInputError: another kind of URL, or one that holds a password.
    """
    if url == SQLITE:
        return {"type": "sqlite", "path": "${AFFECTSTORE_ROOT}/feast/online.db"}
    parts = _parts(url, "online store", ("redis", "rediss", "postgresql"))
    if parts.scheme == "postgresql":
        settings: dict[str, object] = {"type": POSTGRES_STORE, "host": parts.host.strip("[]")}
        settings |= {"port": int(parts.port or 5432), "database": parts.path, "user": parts.user}
        settings |= {"password": parts.password}
        options = dict(parts.options)
        settings |= {
            "db_schema": options.pop("schema", "public"),
            "sslmode": options.pop("sslmode", _ssl(parts)),
        }
        return settings | {f"{name}_path": path for name, path in options.items()}
    if parts.host.startswith("["):
        raise BadInputError("Feast takes no IPv6 address of a Redis: give its name")
    told = [f"{parts.host}:{parts.port or '6379'}", f"db={parts.path or '0'}"]
    told += [f"username={parts.user}"] if parts.user else []
    told += [f"password={parts.password}"] if parts.password else []
    told += ["ssl=true"] if parts.scheme == "rediss" else []
    told += [f"socket_connect_timeout={_CONNECT_S}", f"socket_timeout={_ANSWER_S}"]
    return {"type": REDIS_STORE, "connection_string": ",".join(told)}


def registry_settings(url: str) -> dict[str, object]:
    """Feast's ``registry`` for a URL.

    Args:
        url: ``postgresql://user[:${PASSWORD}]@host[:port]/database[?sslmode=...]`` or ``sqlite``.

    Raises:
        BadInputError: another kind of URL, or one that holds a password.
    """
    # Without Feast's cache time a server learns of new views after the hour.
    settings: dict[str, object] = {"registry_type": "sql", "cache_ttl_seconds": 60}
    settings |= {"serve_features_while_materializing": True}
    if url == SQLITE:
        path = "sqlite:///${AFFECTSTORE_ROOT}/feast/registry.db"
        return settings | {"path": path, "sqlalchemy_config_kwargs": {"connect_args": {"timeout": 60}}}
    parts = _parts(url, "registry", ("postgresql",))
    # The password goes to the driver by itself: in a URL it would have to be escaped, and be told in errors.
    arguments: dict[str, object] = {"connect_timeout": _CONNECT_S, "sslmode": _ssl(parts)}
    arguments |= {"password": parts.password} if parts.password else {}
    options = dict(parts.options)
    if schema := options.pop("schema", ""):
        arguments["options"] = f"-c search_path={schema}"
    arguments |= options
    port = f":{parts.port}" if parts.port else ""
    return settings | {
        "path": f"postgresql+psycopg://{parts.user}@{parts.host}{port}/{parts.path}",
        # A connection that the database closed since is found out before it is used.
        "sqlalchemy_config_kwargs": {"pool_pre_ping": True, "connect_args": arguments},
    }


def _parts(url: str, what: str, allowed: tuple[str, ...]) -> _Parts:
    found = _URL.fullmatch(url)
    if not found or found["scheme"] not in allowed:
        kinds = ", ".join(f"{scheme}://..." for scheme in allowed)
        raise BadInputError(f"{_hidden(url)!r} can't be the {what}; allowed: {kinds} or {SQLITE}")
    password = found["password"] or ""
    if password and not _REFERENCE.fullmatch(password):
        raise BadInputError(
            f"the URL of the {what} holds a password, which would be written to the store: name a variable of the "
            "environment instead, in single quotes, such as "
            f"'{found['scheme']}://{found['user'] or ''}:${{DATABASE_PASSWORD}}@{found['host']}', and export it"
        )
    options = dict(parse_qsl(found["query"] or "", keep_blank_values=True))
    known = _POSTGRES_OPTIONS if found["scheme"] == "postgresql" else ()
    for name in options:
        if name not in known:
            raise BadInputError(
                f"{name!r} is no option of {found['scheme']}://; allowed: {', '.join(known) or 'none'}"
            )
    if found["scheme"] == "postgresql" and not (found["user"] and found["path"]):
        raise BadInputError(f"{_hidden(url)!r} names no user or no database: postgresql://user@host/database")
    return _Parts(
        found["scheme"],
        found["host"],
        found["port"] or "",
        unquote(found["user"] or ""),
        password,
        found["path"] or "",
        options,
    )


def _ssl(parts: _Parts) -> str:
    return parts.options.get("sslmode") or ("prefer" if parts.host in _LOOPBACK else "require")


def _hidden(url: str) -> str:
    """The URL without its password."""
    return re.sub(r"://([^:@/]*):.*@", r"://\1:***@", url)
