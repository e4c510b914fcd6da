"""The servers as a user starts them: over TLS with tokens, with several workers, by Arrow Flight; and how they stop."""

import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from feature_repo.feast_config import write_configuration
from feature_repo.feast_import import import_feast
from feature_repo.online import materialize
from feature_repo.store import Store
from tests.feature_repo.planted_feast import NOTHING, SPEAKER, STEPS, TEXT, make_store, planted
from tests.servers import free_port
from tests.serving_process import PATIENCE_S, running

ROOT = Path(__file__).parents[2]
TEXTS = {"c/1": "hello", "c/2": "good bye", "c/3": NOTHING}
QUESTION = {"feature_service": "paper_text_speaker", "entities": {"utterance_id": ["c/2", "c/1"]}}


@pytest.fixture
def store(tmp_path, monkeypatch) -> Store:
    import_feast()
    monkeypatch.delenv("FEAST_FS_YAML_FILE_PATH", raising=False)
    return make_store(tmp_path, TEXTS)


def ask(url: str, token: str = "", context: ssl.SSLContext | None = None) -> dict[str, list[object]]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    request = urllib.request.Request(f"{url}/get-online-features", json.dumps(QUESTION).encode(), headers)
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=30, context=context) as answer:
                found = json.load(answer)
        except urllib.error.HTTPError:
            raise
        except urllib.error.URLError as error:  # the port is bound a moment before the workers answer
            if isinstance(error.reason, ssl.SSLError) or time.monotonic() > end:
                raise
            time.sleep(0.2)
            continue
        columns = (result["values"] for result in found["results"])
        return dict(zip(found["metadata"]["feature_names"], columns, strict=True))


def expected() -> dict[str, list[object]]:
    texts = ["good bye", "hello"]
    return {
        "utterance_id": ["c/2", "c/1"],
        "text": [planted(TEXT, text).tolist() for text in texts],
        "speaker": [planted(SPEAKER, text).tolist() for text in texts],
    }


def stopped(process: subprocess.Popen[str], by: signal.Signals) -> int:
    process.send_signal(by)
    return process.wait(PATIENCE_S)


@pytest.mark.long
def test_two_workers_over_a_shared_registry_answer_and_end_when_they_are_told(
    store, postgres_server, redis_server, monkeypatch
):
    monkeypatch.setenv("PG", postgres_server.password)
    monkeypatch.setenv("RD", redis_server.password)
    registry = postgres_server.create_database().replace(postgres_server.password, "${PG}")
    write_configuration(
        store, online=redis_server.url.replace(redis_server.password, "${RD}"), registry=registry
    )
    materialize(store)
    port = free_port()
    with running(store.root, "serve", "--port", str(port), "--workers", "2") as (process, lines):
        url = f"http://127.0.0.1:{port}"
        assert ask(url) == expected()
        assert len({tuple(map(str, ask(url)["text"])) for _ in range(20)}) == 1
        assert f"serving {store.root} at {url}, Ctrl-C stops it" in lines
        shown = next(line for line in lines if line.startswith("try: curl"))
        assert f"{url}/get-online-features" in shown
        assert '"paper_text_speaker"' in shown  # the service with the most modalities
        assert stopped(process, signal.SIGTERM) == 0
    assert not any("Traceback" in line for line in lines)


class _Issuer(BaseHTTPRequestHandler):
    """The two documents of an OpenID Connect issuer that matter to who checks a token."""

    keys: dict[str, object]

    def do_GET(self) -> None:
        url = f"http://{self.headers['Host']}"
        document = {
            "token_endpoint": f"{url}/token",
            "authorization_endpoint": f"{url}/authorize",
            "jwks_uri": f"{url}/keys",
        }
        body = json.dumps(self.keys if self.path == "/keys" else document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def issuer() -> Iterator[tuple[str, object]]:
    """Discovery URL of an issuer on loopback, and its private key."""
    import jwt
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key()))
    _Issuer.keys = {"keys": [{**public, "kid": "first", "use": "sig", "alg": "RS256"}]}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Issuer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/.well-known/openid-configuration", key
    finally:
        server.shutdown()
        server.server_close()


def token_of(key: object, **claims: object) -> str:
    import jwt

    claims = {"preferred_username": "reader", "exp": datetime.now(UTC) + timedelta(minutes=5)} | claims
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": "first"})


@pytest.fixture
def certificate(tmp_path) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key."""
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = (tmp_path / "cert.pem", tmp_path / "key.pem")
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return paths


@pytest.mark.long
def test_an_open_address_with_tls_and_tokens_answers_who_shows_one_and_nobody_else(
    store, issuer, certificate
):
    from cryptography.hazmat.primitives.asymmetric import rsa

    discovery, key = issuer
    cert, private = certificate
    materialize(store)
    write_configuration(store, oidc=discovery, client_id="affectstore")
    port = free_port()
    arguments = [
        "serve",
        "--host",
        "0.0.0.0",
        "--port",
        str(port),
        "--cert",
        str(cert),
        "--key",
        str(private),
    ]
    with running(store.root, *arguments) as (process, lines):
        url = f"https://127.0.0.1:{port}"
        trusted = ssl.create_default_context(cafile=str(cert))
        assert ask(url, token_of(key), trusted) == expected()
        other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        past = datetime.now(UTC) - timedelta(hours=1)
        for token in ("", "nonsense", token_of(other), token_of(key, exp=past)):
            with pytest.raises(urllib.error.HTTPError) as caught:
                ask(url, token, trusted)
            assert caught.value.code == 401
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            ask(url, token_of(key), ssl.create_default_context())
        assert any("Authorization: Bearer TOKEN" in line for line in lines)
        assert stopped(process, signal.SIGINT) == 0


@pytest.mark.parametrize("command", ["serve", "serve-offline"])
def test_an_open_address_without_both_refuses_to_start(store, command):
    environment = {**os.environ, "AFFECTSTORE_ROOT": store.root, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "affectstore", command, "--host", "0.0.0.0"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 1
    assert "wants authentication" in done.stderr
    assert "--cert" in done.stderr


def refused_to_write(port: int) -> str:
    """What the offline server says to whoever wants to add rows to a view."""
    import pyarrow as pa
    from pyarrow import flight

    rows = pa.table({"utterance_id": ["c/9"]})
    command = {"api": "offline_write_batch", "command_id": "1", "feature_view_names": [TEXT.view]}
    with flight.connect(f"grpc+tcp://127.0.0.1:{port}") as client:
        descriptor = flight.FlightDescriptor.for_command(json.dumps(command))
        writer, _ = client.do_put(descriptor, rows.schema)
        try:
            writer.write_table(rows)
            writer.close()
        except flight.FlightError as error:
            return str(error)
    return "written"


CLIENT = """
import sys
import numpy as np, pandas as pd
from feature_repo.feast_import import import_feast
import_feast()
from feast import FeatureStore
feast = FeatureStore(repo_path=sys.argv[1])
asked = pd.DataFrame({"utterance_id": ["c/2", "c/unknown", "c/1"], "event_timestamp": pd.Timestamp.now(tz="UTC")})
features = ["TEXT:text", "SPEAKER:speaker", "STEPS:text_steps"]
for row in feast.get_historical_features(asked, features).to_arrow().to_pylist():
    vectors = ["-" if row[name] is None else np.array(row[name], "<f4").tobytes().hex() for name in ("text", "speaker")]
    print(row["utterance_id"], *vectors, row["text_steps"].hex() if row["text_steps"] else "-")
"""


@pytest.mark.long
def test_a_remote_client_reads_history_by_arrow_flight_equal_to_pull(store, tmp_path, monkeypatch):
    from feature_repo.registry import register

    register(store)
    port = free_port()
    with running(store.root, "serve-offline", "--port", str(port)) as (process, lines):
        end = time.monotonic() + PATIENCE_S
        while not any(line.startswith("entity_key_serialization_version") for line in lines):
            assert time.monotonic() < end, "\n".join(lines)
            time.sleep(0.1)
        start = next(number for number, line in enumerate(lines) if line.startswith("project:"))
        shown = "\n".join(line.strip("\n") for line in lines[start:])
        folder = tmp_path / "client"
        folder.mkdir()
        (folder / "feature_store.yaml").write_text(shown)
        assert yaml.safe_load(shown)["offline_store"] == {"type": "remote", "host": "127.0.0.1", "port": port}
        script = CLIENT.replace("TEXT:", f"{TEXT.view}:").replace("SPEAKER:", f"{SPEAKER.view}:")
        done = subprocess.run(
            [sys.executable, "-c", script.replace("STEPS:", f"{STEPS.view}:"), str(folder)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S * 2,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        rows = {
            line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line.startswith("c/")
        }
        data = store.pull(["text", "speaker"], ids=["c/2", "c/1"])
        for place, name in enumerate(data.ids):
            told = [bytes.fromhex(value) for value in rows[name]]
            assert told[:2] == [data.features[slot][place].tobytes() for slot in ("text", "speaker")]
            assert told[2] == planted(STEPS, TEXTS[name]).astype("<f2").tobytes()
        assert set(rows) == {"c/1", "c/2", "c/unknown"}
        assert "for reading alone" in refused_to_write(port)
        assert stopped(process, signal.SIGTERM) == 0
