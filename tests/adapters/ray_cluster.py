"""Ray on this machine, for tests: two CPUs, no dashboard, no network but 127.0.0.1."""

from __future__ import annotations

import logging

import ray

LOCAL = {"include_dashboard": False, "object_store_memory": 150 * 2**20}


def start() -> None:
    """Start a cluster of one node."""
    connect(num_cpus=2, _node_ip_address="127.0.0.1", **LOCAL)


def connect(**options) -> None:
    """Start a cluster, or connect to the one at address=."""
    ray.init(**options, logging_level="ERROR", log_to_driver=False)
    ray.data.DataContext.get_current().enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
