"""The cluster: that of KUBECONFIG, or a control plane of our own."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.control_plane import Cluster, ControlPlane, built, go
from conftest import missing


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A real API server with a controller manager."""
    if given := os.environ.get("KUBECONFIG"):
        if shutil.which("kubectl") is None:
            missing("the kubectl command, for the cluster of KUBECONFIG")
        yield Cluster(Path(given), os.environ["PATH"])
        return
    if go() is None:
        missing("Go, to build a control plane, or a cluster by KUBECONFIG")
    with ControlPlane(built(), tmp_path_factory.mktemp("cluster")) as found:
        yield found
