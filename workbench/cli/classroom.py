"""Serve the notebooks without their code, for a class: ``python -m workbench class``.

Voila starts a separate kernel for every page that a user opens. Widgets are live; the page shows no
code and the user cannot send any. The notebook files are not changed: each notebook is edited in
memory before it is served, where tasks that need code are replaced by a note.
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import psutil
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from nbformat import NotebookNode
from tornado.web import HTTPError, RequestHandler
from traitlets import Int
from traitlets.config import Config
from voila.app import Voila

from workbench.cli.jupyterlab import notebooks

__all__ = [
    "ClassServer",
    "Kernels",
    "Page",
    "for_class",
    "page_of",
    "places",
    "serve",
    "serves_others",
]

TASK = "# change me"
"""A code cell with this comment is a task that is answered in code."""

BYTES_PER_PAGE = 700_000_000
"""Memory that the kernel of a page may need, in bytes; most need 500 million."""

IDLE_SECONDS = 30 * 60
"""A page's kernel ends after this time without any user action."""

# A kernel that is idle and without a browser for this long is lost; every page loads faster.
_LEFT = timedelta(minutes=3)

_TEMPLATES = Path(__file__).resolve().parent / "jupyter"
_PICTURE = re.compile(r"(!\[[^\]]*\]\()([^):]+\.(png|jpg|gif|webp))\)")
_BACK = "[All pages](../../)"
_INSTEAD = "> **A task in code.** Solve it in JupyterLab: `make lab`."
_FULL = (
    "All places are taken ({}): close a page that you no longer need, or ask somebody to close "
    "one, and reload this page."
)


@dataclass(frozen=True)
class Page:
    """An entry of the front page.

    Attributes:
        file: file name of the notebook.
        title: heading of the notebook.
        goals: its learning goals.
        minutes: time that it takes, in minutes.
    """

    file: str
    title: str
    goals: str
    minutes: str


def page_of(path: Path) -> Page:
    """Read a page's title, goals and minutes from its first two cells."""
    cells = nbformat.read(path, as_version=4).cells
    opening = "\n".join(cell.source for cell in cells[:2] if cell.cell_type == "markdown")
    title = re.search(r"^# (.+)$", opening, re.MULTILINE)
    goals = re.search(r"\*\*Goals\.\*\*(.+?)(?:\n\n|$)", opening, re.DOTALL)
    minutes = re.search(r"(\d+) minutes", opening)
    return Page(
        path.name,
        title[1] if title else path.stem,
        _plain(goals[1]) if goals else "",
        minutes[1] if minutes else "",
    )


def _plain(text: str) -> str:
    """Markdown as one line of text: formulas without dollar signs, commands and thin spaces."""
    spaced = re.sub(r"\\[,;:]", " ", text)
    formula = re.sub(r"\$([^$]*)\$", lambda match: re.sub(r"\\[a-z]+ ?", "", match[1]), spaced)
    return " ".join(formula.split())


def places() -> int:
    """How many pages may be open at once: as many as fit into the free memory, at least two."""
    return max(2, int(psutil.virtual_memory().available // BYTES_PER_PAGE))


def for_class(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """A notebook as the class sees it: with a link back, embedded pictures, and no tasks in code.

    The code cell of a task still runs, because later cells may need the names that it defines.

    Args:
        notebook: the notebook on disk; it is not changed.
        folder: its folder; paths of pictures are relative to it.
    """
    new = nbformat.v4
    cells = [new.new_markdown_cell(_BACK)]
    for cell in notebook.cells:
        served = NotebookNode(cell)
        if cell.cell_type == "markdown":
            served.source = _PICTURE.sub(lambda match: _embedded(match, folder), cell.source)
        cells.append(served)
        if cell.cell_type == "code" and TASK in cell.source:
            served.source = f"%%capture\n{cell.source}"
            cells.append(new.new_markdown_cell(_INSTEAD))
    return NotebookNode({**notebook, "cells": cells})


class Kernels(AsyncMappingKernelManager):
    """Starts a kernel for each opened page, up to a limit.

    Closing a page ends its kernel. The kernel of a page that was lost instead (a laptop went to
    sleep) is ended when its place is needed.
    """

    limit = Int(2, min=1, config=True, help="Pages that may be open at once.")
    _starting = 0

    async def start_kernel(self, **settings: Any) -> str:  # type: ignore[override]
        """Start a kernel.

        Raises:
            HTTPError: if the limit is reached; kernels that are starting count.
        """
        if len(self) + self._starting >= self.limit and (lost := self._longest_lost()):
            await self.shutdown_kernel(lost)
        if len(self) + self._starting >= self.limit:
            raise HTTPError(503, _FULL.format(self.limit))
        self._starting += 1
        try:
            return await super().start_kernel(**settings)
        finally:
            self._starting -= 1

    def _longest_lost(self) -> str | None:
        """The kernel without a browser that has been idle longest, if it counts as lost."""
        lost = [key for key in self.list_kernel_ids() if not self._kernel_connections.get(key)]
        since = {key: getattr(self.get_kernel(key), "last_activity") for key in lost}  # noqa: B009
        oldest = min(since, key=lambda key: since[key], default=None)
        return oldest if oldest and datetime.now(UTC) - since[oldest] > _LEFT else None


class ClassServer(Voila):
    """Voila that, on this machine only, answers only to names of this machine.

    Voila itself answers to any name. A page of another site could then let its own name point to
    this machine, and reach the kernels through the browser of a user here (DNS rebinding). With
    ``--Voila.ip=0.0.0.0`` other machines are served, under any name.
    """

    def init_settings(self) -> dict[str, Any]:
        """Voila's settings, with Jupyter's check of the name in each request."""
        settings: Any = super().init_settings()
        return {**settings, "allow_remote_access": serves_others(self.ip)}


def serves_others(ip: str) -> bool:
    """Whether other machines reach a server that listens on this address.

    >>> from workbench.cli.classroom import serves_others
    >>> serves_others("127.0.0.1"), serves_others("0.0.0.0")
    (False, True)
    """
    try:
        return ip != "localhost" and not ipaddress.ip_address(ip).is_loopback
    except ValueError:  # a name, or nothing, which means all addresses
        return True


def serve(extra: Sequence[str] = (), limit: int | None = None) -> None:
    """Serve the pages until the process is stopped.

    Args:
        extra: further options for Voila.
        limit: how many pages may be open at once; by default `places()`.

    Raises:
        FileNotFoundError: if there are no notebooks.
    """
    folder = notebooks()
    os.environ["JUPYTER_PATH"] = os.pathsep.join(
        path for path in (str(_TEMPLATES), os.environ.get("JUPYTER_PATH")) if path
    )
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    allowed = places() if limit is None else limit
    app = ClassServer.instance(config=_settings(folder, allowed))
    app.initialize([str(folder), *extra])
    app.log.info("Pages that may be open at once: %d", app.config.Kernels.limit)
    app.start()


def _settings(folder: Path, limit: int) -> Config:
    """Voila's settings; options on the command line override them."""

    def opened(handler: RequestHandler, notebook: NotebookNode, cwd: str) -> NotebookNode:
        # Reading the token sets a cookie, without which a closed page could not end its kernel.
        assert handler.xsrf_token
        return for_class(notebook, folder / cwd)

    return Config(
        VoilaConfiguration={
            "template": "workbench",
            "allow_template_override": "NO",
            "allow_theme_override": "NO",
            "classic_tree": True,
            "multi_kernel_manager_class": Kernels,
            "prelaunch_hook": opened,
            "page_config_hook": lambda config, **_: {**config, **_front_page(config, folder)},
        },
        Kernels={"limit": limit},
        MappingKernelManager={
            "cull_idle_timeout": IDLE_SECONDS,
            "cull_interval": 60,
            "cull_connected": True,  # a forgotten tab would keep its place for ever
        },
    )


def _front_page(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Add the list of pages to the configuration that the templates read.

    The hook changes `config` itself, because Voila ignores the returned value for the front page.
    """
    config["pages"] = [vars(page_of(path)) for path in sorted(folder.glob("*.ipynb"))]
    return config


def _embedded(match: re.Match[str], folder: Path) -> str:
    """A picture's markdown with the file embedded, since Voila serves no files of other folders."""
    path = folder / match[2]
    if not path.is_file():
        return match[0]
    kind = {"jpg": "jpeg"}.get(match[3], match[3])
    data = base64.b64encode(path.read_bytes()).decode()
    return f"{match[1]}data:image/{kind};base64,{data})"
