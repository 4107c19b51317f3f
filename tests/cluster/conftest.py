"""A real API server, and a real cluster, for the tests of this folder.

``api_server`` is etcd and an API server alone, ready in seconds, without controllers. What a machine lacks for one of
them is said by name in the skip; ``PRACTICUM_REQUIRE=cluster`` turns such a skip into a failure.
"""

from __future__ import annotations

import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters import open_cluster
from controller_stand import Stand, install_operators
from lacks import skip_lacking
from practicum_cluster.api import wait_until
from practicum_cluster.control_plane import ControlPlane, start_alone
from practicum_cluster.daemons import TIED_TO_CALLER
from practicum_core.crd import KINDS, build_crd
from school import Class
from serving import install_serving

_LAST_OF_CLASS = "test_the_chart_is_upgraded_and_removed"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run last what needs a program that nothing else does, which takes minutes to build, and what ends the class."""
    items.sort(key=lambda item: (item.name == _LAST_OF_CLASS, item.path.name == "test_skaffold.py"))


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server of the test session's own, with Practicum's definitions in it.

    ``api_server.kubeconfig`` is the administrator's, ``api_server.api`` a client with every right,
    ``api_server.write_credentials(name, user, groups)`` another user's kubeconfig.
    """
    for program in ("go", "openssl", "setpriv"):
        if not shutil.which(program):
            skip_lacking(f"the program {program}, which a real API server needs")
    folder = tmp_path_factory.mktemp("api-server")
    # A test process that is killed takes both along.
    plane = start_alone(folder, TIED_TO_CALLER)
    try:
        install_definitions(plane)
        yield plane
    finally:
        plane.stop()


def install_definitions(plane: ControlPlane) -> None:
    """Apply the custom resource definitions and wait until the server knows the kinds."""
    for kind in KINDS:
        plane.api.apply(build_crd(kind))
    for kind in KINDS:
        wait_until(lambda kind=kind: plane.api.find(f"/apis/practicum.dev/v1alpha1/{kind.plural}"), kind.plural)


@pytest.fixture(scope="session")
def school() -> Iterator[Class]:
    """A class on a whole cluster, of which a machine runs one: the tests of several modules share it."""
    with open_cluster() as cluster:
        school = Class(cluster)
        school.install()
        school.enrol()
        yield school


@pytest.fixture(scope="session")
def serving(school: Class) -> Class:
    """The class, with the images of gateway and engine on its node."""
    if not school.is_own:
        pytest.skip("this cluster is somebody else's: images of the tests are not brought into its nodes")
    install_serving(school)
    return school


@pytest.fixture(scope="session")
def server(api_server: ControlPlane) -> ControlPlane:
    """The API server, with the kinds of Kueue and KubeRay in it as well."""
    install_operators(api_server)
    return api_server


@pytest.fixture
def stand(server: ControlPlane, tmp_path: Path) -> Stand:
    """A controller on that server, with a history of its own."""
    return Stand(server, tmp_path)


@pytest.fixture
def student() -> str:
    """A namespace that no other test uses."""
    return f"student-{uuid.uuid4().hex[:6]}"


@pytest.fixture(scope="session")
def kubectl() -> Path:
    """The pinned kubectl."""
    build = Path(__file__).parents[2] / "tools/cluster/build.sh"
    return Path(subprocess.run([build, "kubectl"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())
