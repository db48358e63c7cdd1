"""One writer at a time: a lock file that names the process that holds it.

The lock needs no `flock`, which some cluster file systems lack. A lock file appears with its
content in one step, by a hard link. The lock of a process that has ended is taken over. Of several
processes that try, one succeeds: replacing the lock of a dead process needs a lock of its own,
whose name contains the dead one's token.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from weakref import WeakValueDictionary

from workbench.storage.atomic_write import atomic_path, hidden_beside, remove_leftovers
from workbench.storage.interrupts import deferred_interrupts
from workbench.storage.output_check import check_writable
from workbench.storage.process_identity import ProcessIdentity, ProcessState
from workbench.storage.writing_errors import writing

__all__ = ["LockError", "locked_file", "locked_folder"]

_TRIES = 50
_UNREADABLE_SECONDS = 10.0  # after which nobody is about to give a lock its content


class LockError(RuntimeError):
    """Another run writes to the same place; the message names it and says what to do."""


@dataclass(frozen=True)
class _Owner:
    """What a lock file says: the process, and a token that is different for each lock."""

    identity: ProcessIdentity | None
    token: str


_NOBODY = _Owner(None, "0" * 16)
"""Of an unreadable lock file: older versions left an empty one behind."""


class _Held:
    """A lock that this process holds; a lock whose object is gone is nobody's."""

    def __init__(self, owner: _Owner) -> None:
        self.owner, self.process = owner, os.getpid()


_HELD: WeakValueDictionary[str, _Held] = WeakValueDictionary()


@contextmanager
def locked_file(
    path: Path, *, sources: Iterable[str | os.PathLike[str]] = (), overwrite: bool = True
) -> Iterator[None]:
    """Be the only one that makes this file, and remove what killed processes left beside it.

    The lock file ``.NAME.lock`` is in the same folder.

    Args:
        path: the file.
        sources: files that it must not replace.
        overwrite: whether it may replace another file.

    Raises:
        LockError: if another run holds the lock, in this process or another one.
        TargetError, WritingError: as `check_writable`, before and with the lock.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from workbench.storage.lock import locked_file
    >>> with tempfile.TemporaryDirectory() as folder, locked_file(Path(folder, "a.h5")):
    ...     [path.name for path in Path(folder).iterdir()]
    ['.a.h5.lock']
    """
    lock, sources = hidden_beside(path, ".lock"), list(sources)
    check_writable(path, sources=sources, overwrite=overwrite)
    with _locked(lock, path):
        # Another process may have made the file since.
        check_writable(path, sources=sources, overwrite=overwrite)
        remove_leftovers(path.parent, path.name, lock.name)
        yield


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Be the only one that writes into this folder; otherwise as `locked_file`.

    The lock file is ``lock`` in the folder.
    """
    check_writable(folder, folder=True)
    with _locked(folder / "lock", folder):
        remove_leftovers(folder)
        yield


@contextmanager
def _locked(lock: Path, target: Path) -> Iterator[None]:
    held = None
    try:
        with deferred_interrupts():
            held = _acquire(lock, target)
        yield
    finally:
        if held is not None:
            with deferred_interrupts():
                _release(lock, held)


def _acquire(lock: Path, target: Path) -> _Held:
    mine = _Owner(ProcessIdentity.of_this_process(), secrets.token_hex(8))
    held = _Held(mine)
    _HELD[mine.token] = held
    with writing(target):
        lock.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            if _create(lock, mine):
                break
            owner = _read(lock)
            if owner is None:  # released in between
                continue
            _check_ended(owner, lock, target)
            if _take_over(lock, target, owner, mine):
                break
        else:
            raise LockError(f"{target} is being written by several processes: try again.")
        for guard in lock.parent.iterdir():  # left by a process that was killed while it took over
            if re.fullmatch(rf"{re.escape(lock.name)}(\.[0-9a-f]{{16}})+", guard.name):
                guard.unlink(missing_ok=True)
    return held


def _release(lock: Path, held: _Held) -> None:
    _HELD.pop(held.owner.token, None)
    forked = held.process != os.getpid()  # this is a copy of the process that holds the lock
    with suppress(OSError):  # a lock that stays is that of a process that has ended
        if not forked and _read(lock) == held.owner:
            lock.unlink()


def _take_over(lock: Path, target: Path, dead: _Owner, mine: _Owner) -> bool:
    """Replace the lock of a dead process, unless another process was faster."""
    with _locked(lock.with_name(f"{lock.name}.{dead.token}"), target):
        if _read(lock) != dead:
            return False
        with atomic_path(lock) as temporary:
            temporary.write_text(_text(mine))
        return True


def _check_ended(owner: _Owner, lock: Path, target: Path) -> None:
    """Refuse to take over the lock of a process that runs or that cannot be seen from here."""
    identity = owner.identity
    if identity is None:
        with suppress(FileNotFoundError):
            if time.time() - lock.stat().st_mtime < _UNREADABLE_SECONDS:
                raise LockError(f"{target} is being written by another process: try again later.")
        return
    state = identity.state()
    if state is ProcessState.UNKNOWN:
        raise LockError(
            f"{target} is locked by process {identity.process} on {identity.host}, which cannot be "
            f"seen from this host: wait for it, or, if it has ended, remove {lock}."
        )
    if identity == ProcessIdentity.of_this_process():
        if owner.token in _HELD:
            raise LockError(
                f"This process is already writing {target}: stop that run first, or wait for it."
            )
    elif state is ProcessState.RUNS:
        raise LockError(
            f"Process {identity.process} is already writing {target}: stop it first, or wait for "
            "it."
        )


def _create(lock: Path, owner: _Owner) -> bool:
    """Create the lock file with its content in one step, unless it exists."""
    temporary = hidden_beside(lock, f".{secrets.token_hex(8)}.part")
    try:
        temporary.write_text(_text(owner))
        os.link(temporary, lock)
    except (FileExistsError, FileNotFoundError):  # the holder of the lock removes temporary files
        return False
    except OSError as error:
        if error.filename2 is None:  # not of `link`
            raise
        return _create_without_link(lock, owner)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    return True


def _create_without_link(lock: Path, owner: _Owner) -> bool:
    """The same on file systems without hard links: the content appears a moment later."""
    try:
        handle = os.open(lock, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    except FileExistsError:
        return False
    with os.fdopen(handle, "w") as file:
        file.write(_text(owner))
    return True


def _text(owner: _Owner) -> str:
    assert owner.identity is not None
    return json.dumps({**asdict(owner.identity), "token": owner.token}) + "\n"


def _read(lock: Path) -> _Owner | None:
    """Whose lock this is, or None if there is none."""
    try:
        content = json.loads(lock.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        content = None
    kinds = {f.name: int if f.name == "process" else str for f in fields(ProcessIdentity)}
    kinds["token"] = str
    if (
        not isinstance(content, dict)
        or content.keys() != kinds.keys()
        or not all(isinstance(content[name], kind) for name, kind in kinds.items())
        or not re.fullmatch("[0-9a-f]{16}", content["token"])
        or not 0 < content["process"] < 1 << 31
    ):
        return _NOBODY
    token = content.pop("token")
    return _Owner(ProcessIdentity(**content), token)
