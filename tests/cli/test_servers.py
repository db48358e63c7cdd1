"""`workbench lab` and `class`: they listen to this machine, under its names, and heed tokens."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from ipaddress import ip_address

import psutil
import pytest

from tests.support.jupyter import own_server
from workbench.cli.classroom import serves_others

TOKEN = "a-token-of-a-test"
NOTEBOOK = "00_start_here.ipynb"


class Server:
    """Requests to a server that runs."""

    def __init__(self, port: int, pid: int):
        self.port, self.pid = port, pid

    def status(self, path: str, host: str = "localhost", **headers: str) -> int:
        """The status of an answer; ``host`` is the name under which a browser found the server."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("GET", path, headers={"Host": f"{host}:{self.port}", **headers})
        return connection.getresponse().status

    def listens_on(self) -> set[str]:
        sockets = psutil.Process(self.pid).net_connections(kind="inet")
        return {s.laddr.ip for s in sockets if s.status == psutil.CONN_LISTEN}


@contextmanager
def running(command: str, *options: str) -> Iterator[Server]:
    with own_server(command, *options) as (port, pid):
        yield Server(port, pid)


@pytest.fixture(scope="module")
def lab() -> Iterator[Server]:
    with running("lab", f"--IdentityProvider.token={TOKEN}", "--ServerApp.port_retries=0") as made:
        yield made


@pytest.fixture(scope="module")
def lesson() -> Iterator[Server]:
    with running("class", "--pages=1", f"--token={TOKEN}") as made:
        yield made


def test_lab_answers_only_with_its_token(lab: Server):
    assert lab.status("/api/contents") == 403
    assert lab.status("/api/contents?token=wrong") == 403
    assert lab.status(f"/api/contents?token={TOKEN}") == 200
    assert lab.status("/lab") == 302  # to the page that asks for the token


def test_class_answers_only_with_its_token_where_it_has_one(lesson: Server):
    assert lesson.status("/") == 302
    assert lesson.status("/?token=wrong") == 302
    assert lesson.status(f"/?token={TOKEN}") == 200
    assert lesson.status(f"/voila/render/{NOTEBOOK}") == 302


@pytest.mark.parametrize("name", ["evil.example", "192.0.2.7", "localhost.evil.example"])
def test_a_request_under_the_name_of_another_host_is_refused(name, lab, lesson):
    token = {"Authorization": f"token {TOKEN}"}
    assert lab.status("/api/contents", name, **token) == 403
    for path in ("/", f"/voila/render/{NOTEBOOK}"):
        assert lesson.status(path, name, **token) == 403


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "[::1]"])
def test_a_request_under_a_name_of_this_machine_is_answered(name, lab, lesson):
    token = {"Authorization": f"token {TOKEN}"}
    assert lab.status("/api/contents", name, **token) == 200
    assert lesson.status("/", name, **token) == 200


def test_both_listen_on_the_loopback_only(lab, lesson):
    for server in (lab, lesson):
        addresses = server.listens_on()
        assert addresses
        assert all(ip_address(address).is_loopback for address in addresses)


@pytest.mark.parametrize("ip", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_an_address_of_this_machine_serves_nobody_else(ip):
    assert not serves_others(ip)


@pytest.mark.parametrize("ip", ["0.0.0.0", "", "::", "192.0.2.7", "teacher.example"])
def test_a_teacher_may_serve_other_machines(ip):
    assert serves_others(ip)


def test_a_class_for_others_answers_under_any_name():
    with running("class", "--pages=1", "--Voila.ip=0.0.0.0") as server:
        assert server.status("/", "teacher.example") == 200
