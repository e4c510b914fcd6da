"""Plain Feast commands in ``feature_repo/``, as a user types them, on a store whose numbers are known."""

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from rich.text import Text

from feature_repo.feast_commands import _shortened
from feature_repo.feast_store import open_feast
from feature_repo.online import materialize
from feature_repo.recipe import Recipe
from feature_repo.store import Store
from tests.feature_repo.planted_feast import EVERY, NOTHING, SPEAKER, TEXT, make_store, planted, write

ROOT = Path(__file__).parents[2]
FEAST = Path(sys.executable).parent / "feast"
TEXTS = {"c/1": "hello", "c/2": "good bye", "c/3": NOTHING}
IDS = ["c/2", "c/3", "c/unknown", "c/1"]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    """A store that plain ``feast apply`` has registered."""
    store = make_store(tmp_path_factory.mktemp("commands"), TEXTS)
    done = feast(store.root, "apply")
    assert done.returncode == 0, done.stderr
    return store


def environment(root: str | None, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "AFFECTSTORE_ROOT"}
    paths = filter(None, [os.environ.get("PYTHONPATH")])
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *paths]),
        **({"AFFECTSTORE_ROOT": root} if root else {}),
        **more,
    }


def feast(root: str | None, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [FEAST, *arguments],
        cwd=ROOT / "feature_repo",
        env=environment(root, **more),
        capture_output=True,
        text=True,
        timeout=240,
    )


def registered(store: Store) -> tuple[set[str], set[str]]:
    opened = open_feast(store)
    return {view.name for view in opened.list_feature_views()}, {
        service.name for service in opened.list_feature_services()
    }


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "absent"),
        (3, "3"),
        ("[door] [red]slams", "[door] [red]slams"),
        ([0.25, -1.0], "[0.2500, -1.0000] (2)"),
        ([1.0] * 5, "[1.0000, 1.0000, 1.0000, 1.0000, ...] (5)"),
        (["[laughs]", "Who?"], "[[laughs], Who?] (2)"),
    ],
)
def test_a_value_is_shown_as_it_is_or_shortened(value, shown):
    assert Text.from_markup(_shortened(value)).plain == shown


def test_apply_without_a_root_changes_nothing_in_a_registry_that_it_can_reach(store, tmp_path):
    before = registered(store)
    assert len(before[0]) == 3
    assert "paper_text_speaker" in before[1]
    # The registry's place is written out here, so that nothing but the definitions can stop the command.
    written_out = tmp_path / "feature_store.yaml"
    yaml = (ROOT / "feature_repo" / "feature_store.yaml").read_text()
    written_out.write_text(yaml.replace("${AFFECTSTORE_ROOT}", store.root))
    done = feast(None, "apply", FEAST_FS_YAML_FILE_PATH=str(written_out))
    assert done.returncode != 0
    assert "set AFFECTSTORE_ROOT" in done.stderr
    assert registered(store) == before


@pytest.mark.long
def test_what_plain_feast_loads_a_plain_server_answers_over_http(store):
    done = feast(store.root, "materialize-incremental", datetime.now(UTC).isoformat())
    assert done.returncode == 0, done.stderr
    with server(store.root) as url:
        slots = {"text": TEXT, "speaker": SPEAKER}
        assert answered(url, "paper_text_speaker") == {
            slot: [expected(recipe, TEXTS.get(name)) for name in IDS] for slot, recipe in slots.items()
        }
        # A server that runs sees what our own command loads.
        write(store, {**TEXTS, "c/2": "changed"})
        materialize(store)
        assert answered(url, "paper_text")["text"][0] == planted(TEXT, "changed").tolist()
    done = feast(
        store.root, "materialize", "2020-01-01T00:00:00", datetime.now(UTC).isoformat(), "-v", SPEAKER.view
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    importlib.util.find_spec("grpc_health") is None, reason="`feast ui` wants grpcio-health-checking"
)
def test_the_ui_shows_the_views_with_their_recipes(store):
    with server(store.root, "ui", "/projects-list.json") as url:
        with urllib.request.urlopen(f"{url}/", timeout=30) as page:
            assert b"<html" in page.read()
        with urllib.request.urlopen(f"{url}/api/v1/feature_views?project=affectstore", timeout=30) as answer:
            views = json.load(answer)["featureViews"]
    fingerprints = {view["spec"]["name"]: view["spec"]["tags"]["fingerprint"] for view in views}
    assert fingerprints == {recipe.view: recipe.fingerprint for recipe in EVERY}


def expected(recipe: Recipe, text: str | None) -> list[float] | None:
    return None if text in (None, NOTHING) else planted(recipe, text).tolist()


def answered(url: str, service: str) -> dict[str, list[list[float] | None]]:
    """Feature to its values in the order of ``IDS``."""
    question = json.dumps({"feature_service": service, "entities": {"utterance_id": IDS}}).encode()
    request = urllib.request.Request(
        f"{url}/get-online-features", question, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        answer = json.load(response)
    columns = [column["values"] for column in answer["results"]]
    features = dict(zip(answer["metadata"]["feature_names"], columns, strict=True))
    assert features.pop("utterance_id") == IDS
    # JSON numbers are doubles; these were float32.
    return {
        name: [None if value is None else np.array(value, np.float32).tolist() for value in values]
        for name, values in features.items()
    }


@contextlib.contextmanager
def server(root: str, command: str = "serve", probed: str = "/health") -> Iterator[str]:
    """A Feast server on a free port of the loopback interface, once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(tempfile.TemporaryFile())  # not a pipe: a full one would stop the server
        process = subprocess.Popen(
            [FEAST, command, "--host", "127.0.0.1", "--port", str(port)],
            cwd=ROOT / "feature_repo",
            env=environment(root),
            stdout=log,
            stderr=log,
            start_new_session=True,  # the server has workers: all of them are ended
        )
        stack.callback(process.wait)
        stack.callback(kill_group, process.pid)
        url = f"http://127.0.0.1:{port}"
        for _ in range(240):
            with (
                contextlib.suppress(urllib.error.URLError, ConnectionError),
                urllib.request.urlopen(f"{url}{probed}"),
            ):
                break
            assert process.poll() is None, log.seek(0) or log.read().decode()
            time.sleep(0.5)
        yield url


def kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
