"""Which process is this, and does another one still run? A lock outlives a killed process."""

from __future__ import annotations

import os
import socket
import subprocess
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

__all__ = ["ProcessIdentity", "ProcessState"]


class ProcessState(Enum):
    """What is known of a process: whether it runs, or that it cannot be seen from here."""

    RUNS = "runs"
    ENDED = "ended"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ProcessIdentity:
    """A process, such that no later one is mistaken for it.

    Attributes:
        host: name of the computer.
        machine: its installation; two computers may have one name. Empty if unknown.
        boot: since its last start. Empty if unknown.
        namespace: within which process IDs are counted (containers). Empty if unknown.
        process: process ID.
        started: time of the process's start; IDs are used again. Empty if unknown.
    """

    host: str
    machine: str
    boot: str
    namespace: str
    process: int
    started: str

    @classmethod
    def of_this_process(cls) -> ProcessIdentity:
        """The identity of the process that calls."""
        return cls(*_computer(), os.getpid(), _start(os.getpid()) or "")

    def state(self) -> ProcessState:
        """Whether this process runs, as far as that can be seen from the process that calls."""
        host, machine, boot, namespace = _computer()
        if (self.host, self.machine) != (host, machine):
            return ProcessState.UNKNOWN
        if self.boot != boot:
            return ProcessState.ENDED if machine else ProcessState.UNKNOWN
        if self.namespace != namespace:
            return ProcessState.UNKNOWN
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return ProcessState.ENDED
        except PermissionError:  # it runs, and belongs to another user
            pass
        start = _start(self.process)
        same = not self.started or start is None or start == self.started
        return ProcessState.RUNS if same else ProcessState.ENDED


@cache
def _computer() -> tuple[str, str, str, str]:
    """Host, machine, boot and namespace."""
    machine = _text(Path("/etc/machine-id"))
    boot = _text(Path("/proc/sys/kernel/random/boot_id"))
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return socket.gethostname(), machine, boot, namespace


def _start(process: int) -> str | None:
    """When a process started, in the system's units; None where it cannot be seen."""
    if not Path("/proc/self/stat").exists():  # macOS
        return _start_of_ps(process)
    text = _text(Path(f"/proc/{process}/stat"))
    if not text:
        return None
    fields = text.rpartition(")")[2].split()  # the name before it may contain spaces
    has_ended = fields[0] in ("Z", "X")  # its parent has not yet asked for its exit status
    return "" if has_ended else fields[19]


def _start_of_ps(process: int) -> str | None:
    """When a process started, as the program ps says it."""
    command = ["ps", "-o", "lstart=", "-p", str(process)]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return answer.stdout.strip() or None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
