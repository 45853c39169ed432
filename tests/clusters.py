"""A real Ray cluster of several nodes on this machine, for tests."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

ray = pytest.importorskip("ray")  # this file is looked through for doctests without it, too
import ray._private.services as ray_services  # noqa: E402
from ray._private.node import Node  # noqa: E402
from ray.cluster_utils import Cluster  # noqa: E402

AGENT_PORTS = (
    "metrics_agent_port",
    "metrics_export_port",
    "dashboard_agent_listen_port",
    "runtime_env_agent_port",
)


def start_raylet(*arguments: Any, **options: Any) -> Any:
    """Start a node's main process, which finds its agents' ports without waiting for them.

    It gives up if the agents do not tell them within 15 seconds, which is short on a busy machine
    (https://github.com/ray-project/ray/issues/65983). Those that are given it does not wait for,
    but for one, which it reads from a file.
    """
    node, folder = arguments[2], Path(arguments[11])
    port = options["dashboard_agent_listen_port"]
    (folder / f"dashboard_agent_listen_port_{node}").write_text(str(port))
    return STARTED(*arguments, **options)


PATIENT = {
    "RAY_worker_niceness": "0",  # workers are nice otherwise, and starve on a busy machine
    "RAY_worker_register_timeout_seconds": "300",
    "RAY_health_check_timeout_ms": "30000",
    "RAY_AUTH_MODE": "disabled",  # whatever tokens this user has
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
STARTED = ray_services.start_raylet


def small() -> dict[str, Any]:
    """Settings of a node that takes little memory and knows its agents' ports."""
    listeners = [socket.create_server(("", 0)) for _ in AGENT_PORTS]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    known = dict(zip(AGENT_PORTS, ports, strict=True))
    return {"object_store_memory": 80 * 2**20, "include_dashboard": False, **known}


class LocalCluster:
    """A cluster whose nodes are processes of this machine, with little memory and few workers.

    The head, where the test runs, has no processors: whatever is scheduled goes to one of the two
    others, on which one actor fits each.
    """

    def __init__(self) -> None:
        # The system kills a node when the thread that started it ends.
        self._starter = ThreadPoolExecutor(1)
        head = {"num_cpus": 0, "include_log_monitor": False, **small()}
        self._cluster = Cluster(initialize_head=True, head_node_args=head)
        ray.init(address=self._cluster.address, log_to_driver=False)
        self._nodes = [self._new_node() for _ in range(2)]

    @property
    def address(self) -> str:
        return str(self._cluster.address)

    def lose_a_node(self) -> None:
        """Kill a node and all that runs on it, and wait until nothing is sent there any more."""
        node = self._nodes.pop(0)
        self._cluster.remove_node(node, allow_graceful=False)
        while node.node_id in {each["NodeID"] for each in ray.nodes() if each["Alive"]}:
            time.sleep(0.1)

    def add_a_node(self) -> None:
        """Put another one in its place, from any thread."""
        # Handlers of signals, which only the main thread may set, are there already.
        with mock.patch.object(Node, "_register_shutdown_hooks"):
            self._nodes.append(self._starter.submit(self._new_node).result())

    def _new_node(self) -> Any:
        return self._cluster.add_node(num_cpus=1, **small())

    def close(self) -> None:
        ray.shutdown()
        self._cluster.shutdown()
        self._starter.shutdown()


@contextmanager
def local_cluster() -> Iterator[LocalCluster]:
    os.environ |= PATIENT
    with mock.patch.object(ray_services, "start_raylet", start_raylet):
        cluster = LocalCluster()
        try:
            yield cluster
        finally:
            cluster.close()
