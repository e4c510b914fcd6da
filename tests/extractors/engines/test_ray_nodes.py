"""Several Ray nodes on this machine, one of them killed half way."""

import os

import pytest

from tests.extractors.engines.ray_processes import prepare_ray, ray_processes, wait_until_gone
from tests.extractors.engines.test_ray_engine import check_letters, start, store_of, texts, wait_for_rows

pytestmark = pytest.mark.long
STORE_BYTES = 100 << 20


@pytest.fixture
def cluster(monkeypatch):
    """A head without cores and two nodes of one core, each with processes of its own, on loopback."""
    prepare_ray(monkeypatch)
    from ray.cluster_utils import Cluster

    options = {"node_ip_address": "127.0.0.1", "object_store_memory": STORE_BYTES, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **options})
    try:
        made.workers = [made.add_node(num_cpus=1, **options) for _ in range(2)]
        made.wait_for_nodes()
        yield made
    finally:
        started = ray_processes(os.getpid())
        made.shutdown()
    wait_until_gone(started)


def test_a_node_that_is_killed_half_way_costs_no_row(tmp_path, cluster):
    store = store_of(tmp_path, texts(80))
    process = start(store, tmp_path / "run.py", 0.2, cluster.address, workers=2)
    wait_for_rows(store, 12, process)
    alive = ray_processes(os.getpid())
    cluster.remove_node(cluster.workers[0], allow_graceful=False)
    assert len(ray_processes(os.getpid()) & alive) < len(alive)
    told, _ = process.communicate(timeout=180)
    assert process.returncode == 0
    assert told.splitlines()[-1] == "computed 80"
    check_letters(store)
    (view,) = store.views()
    assert store.faults.entries(view).is_empty()


def test_a_cluster_outlives_the_run_that_used_it(tmp_path, cluster):
    before = ray_processes(os.getpid())
    store = store_of(tmp_path, texts(8))
    process = start(store, tmp_path / "run.py", 0.0, cluster.address, workers=2)
    told, _ = process.communicate(timeout=120)
    assert told.splitlines()[-1] == "computed 8"
    check_letters(store)
    assert len(ray_processes(os.getpid()) & before) >= 3  # the raylets; workers come and go
