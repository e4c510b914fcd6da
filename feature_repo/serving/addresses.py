"""Where a server may listen: on this machine as one likes, elsewhere only with authentication and TLS."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from feature_repo.errors import BadInputError


def check_address(host: str, auth: str, cert: Path | None, key: Path | None) -> None:
    """Refuse to offer voices and faces to whoever can reach the machine.

    Args:
        host: the address that the server is to listen at.
        auth: the kind of Feast's authentication, ``no_auth``, ``oidc`` or ``kubernetes``.
        cert: the certificate's file.
        key: its private key's file.

    Raises:
        BadInputError: half of a certificate, a file that is not there, or an open address without either protection.
    """
    if (cert is None) != (key is None):
        raise BadInputError("TLS takes two files: give both --cert and --key")
    for name, path in (("--cert", cert), ("--key", key)):
        if path is not None and not path.is_file():
            raise BadInputError(f"{name} {path} is no file")
    if is_loopback(host):
        return
    lacking = []
    if auth == "no_auth":
        lacking.append("authentication (`affectstore feast-config --oidc DISCOVERY_URL`)")
    if cert is None:
        lacking.append("TLS (--cert FILE --key FILE)")
    if lacking:
        raise BadInputError(
            f"{host} can be reached from other machines, and voices and faces are biometric data: a server there wants "
            f"{' and '.join(lacking)}; without, listen at 127.0.0.1"
        )


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches the address. A name other than localhost counts as open."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
