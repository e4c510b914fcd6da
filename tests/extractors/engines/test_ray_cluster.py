"""Where Ray is: what an address may be, and how many workers fit."""

import signal
import socket
from pathlib import Path

import pytest

from extractors.engines import ray_cluster
from extractors.engines.ray_cluster import RayPlace, Workers, connected, room
from feature_repo.errors import BadInputError


@pytest.mark.parametrize(
    "address", ["local", "auto", "127.0.0.1:6379", "head.example.org:6379", "[::1]:6379"]
)
def test_addresses(address):
    assert RayPlace(address).address == address


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"address": "ray://head:10001"}, "the command run on one of the cluster's machines"),
        ({"address": "head"}, "must be local, auto or host:port"),
        ({"address": "head:ray"}, "must be local, auto or host:port"),
        ({"workers": 0}, "workers=0"),
        ({"gpus_per_worker": -1.0}, "gpus_per_worker=-1"),
    ],
)
def test_a_place_that_can_not_be(options, reason):
    with pytest.raises(BadInputError, match=reason):
        RayPlace(**options)


def test_an_address_where_nobody_answers_is_told_at_once():
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    before = signal.getsignal(signal.SIGTERM)
    with (
        pytest.raises(BadInputError, match=f"'127.0.0.1:{port}': nobody answers there"),
        connected(RayPlace(f"127.0.0.1:{port}")),
    ):
        raise AssertionError("there is no cluster")
    assert signal.getsignal(signal.SIGTERM) is before


def node(cores, gpus=0, alive=True):
    return {"Alive": alive, "Resources": {"CPU": float(cores), "GPU": float(gpus), "memory": 1e9}}


@pytest.mark.parametrize(
    ("nodes", "place", "expected"),
    [
        ([node(8)], RayPlace(), Workers(8, 1)),
        ([node(8)], RayPlace(workers=2), Workers(2, 4)),
        ([node(8)], RayPlace(workers=3), Workers(3, 2)),
        ([node(2)], RayPlace(workers=5), Workers(2, 1)),  # no more than there are cores
        ([node(0), node(1), node(1)], RayPlace(workers=1), Workers(1, 1)),  # no node has two
        ([node(4), node(4, alive=False)], RayPlace(), Workers(4, 1)),
        ([node(4), node(4)], RayPlace(workers=2), Workers(2, 4)),
        ([node(16, 2)], RayPlace(gpus_per_worker=1), Workers(2, 8, 1.0)),
        ([node(16, 2)], RayPlace(gpus_per_worker=0.5, workers=16), Workers(4, 1, 0.5)),
        ([node(16, 2)], RayPlace(gpus_per_worker=0.4), Workers(4, 4, 0.4)),  # no share is of two GPUs
        ([node(16, 4)], RayPlace(gpus_per_worker=2), Workers(2, 8, 2)),
        ([node(16, 1), node(16)], RayPlace(gpus_per_worker=1, workers=4), Workers(1, 8, 1)),
    ],
)
def test_as_many_workers_as_fit(monkeypatch, nodes, place, expected):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    assert room(place) == expected


def test_models_have_a_gpu_each_where_there_are_some(monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "nodes", lambda: [node(8, 2), node(8, 2)])
    assert room(RayPlace(), on_gpus=True) == Workers(4, 4, 1.0)
    assert room(RayPlace(gpus_per_worker=0), on_gpus=True) == Workers(16, 1)
    monkeypatch.setattr(ray, "nodes", lambda: [node(8)])
    assert room(RayPlace(), on_gpus=True) == Workers(8, 1)


def test_no_room_is_told_with_what_there_is(monkeypatch):
    ray = pytest.importorskip("ray")
    monkeypatch.setattr(ray, "nodes", lambda: [node(4), node(2)])
    with pytest.raises(BadInputError, match="2 nodes with 6 cores and 0 GPUs"):
        room(RayPlace(gpus_per_worker=1))


def test_what_killed_runs_left_is_removed_and_what_runs_stays(tmp_path, monkeypatch):
    monkeypatch.setattr("extractors.engines.ray_cluster._LONGEST_FOLDER", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    running, killed, other = (
        tmp_path / name for name in ("asray-1-abc", f"asray-{2**22 + 1}-abc", "elsewhere")
    )
    for folder in (running, killed, other):
        folder.mkdir()
        (folder / "log").write_text("")
    made = ray_cluster._temporary_folder()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [running.name, other.name, Path(made).name]
    )
