"""One writer at a time, also after kills, on other hosts, and when many try at once."""

import gc
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from tests.support.faults import in_a_copy
from tests.support.strikes import Place, Strike
from workbench.storage import lock as lock_module
from workbench.storage.lock import (
    LockError,
    _create_without_link,
    _Owner,
    locked_file,
    locked_folder,
)
from workbench.storage.process_identity import ProcessIdentity

HERE = ProcessIdentity.of_this_process()
TOKEN = "0123456789abcdef"


@pytest.fixture
def ended():
    """A process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return replace(HERE, process=process.pid, started="1")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.h5"


def write_lock(path: Path, identity: ProcessIdentity, token: str = TOKEN) -> Path:
    lock = path.with_name(f".{path.name}.lock")
    lock.write_text(json.dumps({**asdict(identity), "token": token}))
    return lock


def test_this_process_has_one_writer(path):
    with locked_file(path):
        with pytest.raises(LockError, match=r"This process is already writing .*a\.h5: stop"):
            locked_file(path).__enter__()
        with locked_file(path.with_name("b.h5")), locked_folder(path.parent):
            pass
    with locked_file(path):
        pass
    assert not os.listdir(path.parent)


def test_a_lock_that_was_not_released_is_free_once_its_owner_is_gone(path):
    """As after an interrupt between two lines of the release."""
    forgotten = locked_file(path)
    forgotten.__enter__()
    lock = path.with_name(f".{path.name}.lock")
    text = lock.read_text()
    del forgotten
    gc.collect()
    lock.write_text(text)
    with locked_file(path):
        pass


def test_a_process_that_runs_keeps_its_lock(path):
    with locked_file(path):
        code, said = in_a_copy(locked_file(path).__enter__)
    assert code == 1
    assert f"Process {os.getpid()} is already writing {path}: stop it first, or wait" in said
    assert not os.listdir(path.parent)


def test_a_forked_copy_does_not_release_the_lock(path):
    lock = locked_file(path)
    lock.__enter__()
    assert in_a_copy(lambda: lock.__exit__(None, None, None)) == (0, "")
    assert len(os.listdir(path.parent)) == 1
    lock.__exit__(None, None, None)
    assert not os.listdir(path.parent)


@pytest.mark.parametrize("case", ["ended", "used again", "killed", "older version", "restarted"])
def test_the_lock_of_a_dead_process_is_taken_over(case, path, ended):
    if case == "killed":

        def killed():
            lock = locked_file(path)
            lock.__enter__()
            path.with_name(f".{path.name}.0123456789abcdef.part").touch()
            os.kill(os.getpid(), signal.SIGKILL)

        assert in_a_copy(killed)[0] < 0
        assert len(os.listdir(path.parent)) == 2
    elif case == "older version":
        lock = path.with_name(f".{path.name}.lock")
        lock.touch()
        os.utime(lock, (1, 1))
    elif case == "restarted":
        if not HERE.machine:
            pytest.skip("this system has no machine ID")
        write_lock(path, replace(HERE, boot="before"))
    else:  # "used again": the process with this ID started at another time
        write_lock(path, ended if case == "ended" else replace(HERE, started="1"))
    with locked_file(path):
        assert len(os.listdir(path.parent)) == 1
    assert not os.listdir(path.parent)


def test_a_lock_of_another_host_is_refused_and_named(path):
    lock = write_lock(path, replace(HERE, host="node7", process=12))
    with pytest.raises(LockError) as error:
        locked_file(path).__enter__()
    assert str(error.value) == (
        f"{path} is locked by process 12 on node7, which cannot be seen from this host: wait for "
        f"it, or, if it has ended, remove {lock}."
    )
    assert lock.exists()


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", "\xff", '{"process": 1}', "null", '{"token": "../../a"}']
)
def test_an_unreadable_lock_is_respected_for_a_moment(content, path):
    lock = path.with_name(f".{path.name}.lock")
    lock.write_bytes(content.encode("latin-1"))
    with pytest.raises(LockError, match="try again"):
        locked_file(path).__enter__()
    os.utime(lock, (1, 1))
    with locked_file(path):
        pass


def test_a_process_that_died_while_it_took_over_is_passed(path, ended):
    lock = write_lock(path, ended)
    guard = lock.with_name(f"{lock.name}.{TOKEN}")
    guard.write_text(json.dumps({**asdict(ended), "token": "f" * 16}))
    with locked_file(path):
        assert os.listdir(path.parent) == [lock.name]


def test_without_hard_links_it_is_created_once(path):
    owner = _Owner(HERE, TOKEN)
    assert _create_without_link(path, owner)
    assert not _create_without_link(path, owner)


def test_of_many_that_try_at_once_one_succeeds(path, ended):
    """Eight processes take over the lock of a dead one, again and again, and count together."""
    write_lock(path, ended)
    counter, start = path.with_name("counter"), time.time() + 0.3
    counter.write_text("0")
    children = []
    for _ in range(8):
        if not (child := os.fork()):
            wins = 0
            try:
                time.sleep(max(0.0, start - time.time()))
                end = time.time() + 1.0
                while time.time() < end:
                    try:
                        lock = locked_file(path)
                        lock.__enter__()
                    except LockError:
                        continue
                    count = int(counter.read_text())
                    time.sleep(0.001)
                    counter.write_text(str(count + 1))
                    wins += 1
                    if wins % 3:
                        lock.__exit__(None, None, None)
                    else:  # die with the lock, as after a kill
                        os._exit(wins)
            finally:
                os._exit(wins)
        children.append(child)
    wins = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert int(counter.read_text()) == sum(wins) >= 8


def interrupt():
    signal.raise_signal(signal.SIGINT)


@pytest.mark.by_itself
def test_an_interrupt_at_any_line_leaves_a_lock_that_is_free(path):
    """A file may stay behind, but this process need not end for the next one."""
    struck: set[Place] = set()
    while True:
        strike = Strike({lock_module.__file__}, struck, interrupt)
        sys.settrace(strike)
        with suppress(KeyboardInterrupt), locked_file(path):
            pass
        sys.settrace(None)
        if strike.place is None:
            break
        struck.add(strike.place)
        with locked_file(path):
            pass
        assert os.listdir(path.parent) == [], f"after a strike at {strike.place}"
    assert len(struck) > 20
