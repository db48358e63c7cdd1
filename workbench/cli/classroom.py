"""Serve the pages without their code, for a class: what ``python -m workbench class`` does.

Voila runs a page in a kernel of its own for everybody who opens it: widgets are live, code is not
on the page, and none can be sent. The notebooks stay as they are; what a class sees otherwise is
changed on the way: tasks that are answered in code say so instead of showing a verdict.
"""

from __future__ import annotations

import base64
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

__all__ = ["Kernels", "Page", "for_class", "page_of", "places", "serve"]

TASK = "# change me"
"""What a code cell holds that waits for an answer in code."""

BYTES_PER_PAGE = 700_000_000
"""Of memory, that the kernel of a page may need; most need 500 million."""

IDLE_SECONDS = 30 * 60
"""After so long without anybody turning or pressing anything, a page's kernel ends."""

_LEFT = timedelta(minutes=3)  # idle, and no browser asks: longer than any page takes to appear

_TEMPLATES = Path(__file__).resolve().parent / "jupyter"
_PICTURE = re.compile(r"(!\[[^\]]*\]\()([^):]+\.(png|jpg|gif|webp))\)")
_BACK = "[All pages](../../)"
_INSTEAD = "> **A task in code.** It waits for your answer in JupyterLab: `make lab`."
_FULL = (
    "All places are taken ({}): close a page that you no longer need, or have somebody close one, "
    "and load this one again."
)


@dataclass(frozen=True)
class Page:
    """A page as the front page announces it.

    Attributes:
        file: name of the notebook.
        title: its heading.
        goals: what one can do afterwards.
        minutes: how long it takes.
    """

    file: str
    title: str
    goals: str
    minutes: str


def page_of(path: Path) -> Page:
    """Read a page's title, goals and minutes from its opening."""
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
    """Markdown on one line, its formulas without dollars, commands and thin spaces."""
    spaced = re.sub(r"\\[,;:]", " ", text)
    formula = re.sub(r"\$([^$]*)\$", lambda found: re.sub(r"\\[a-z]+ ?", "", found[1]), spaced)
    return " ".join(formula.split())


def places() -> int:
    """How many pages may be open at once: what the memory that is free now holds, at least two."""
    return max(2, int(psutil.virtual_memory().available // BYTES_PER_PAGE))


def for_class(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """A notebook as a class sees it: a way back, pictures inside, tasks in code put aside.

    A task's cell runs all the same, as others may need what it defines.

    Args:
        notebook: as it lies on disk; it is left alone.
        folder: where it lies, as its pictures are named from there.
    """
    new = nbformat.v4
    cells = [new.new_markdown_cell(_BACK)]
    for cell in notebook.cells:
        shown = NotebookNode(cell)
        if cell.cell_type == "markdown":
            shown.source = _PICTURE.sub(lambda found: _inside(found, folder), cell.source)
        cells.append(shown)
        if cell.cell_type == "code" and TASK in cell.source:
            shown.source = f"%%capture\n{cell.source}"
            cells.append(new.new_markdown_cell(_INSTEAD))
    return NotebookNode({**notebook, "cells": cells})


class Kernels(AsyncMappingKernelManager):
    """Starts a kernel for each opened page, up to a limit.

    Whoever closes a page ends its kernel. Of pages that were lost instead (a laptop went to sleep)
    the kernel makes room when it is needed.
    """

    limit = Int(2, min=1, config=True, help="Pages that may be open at once.")
    _starting = 0

    async def start_kernel(self, **settings: Any) -> str:  # type: ignore[override]
        """Start a kernel.

        Raises:
            HTTPError: if there are as many as there may be; those about to start count.
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
        """The kernel that no browser has asked anything for the longest time, if for long."""
        lost = [key for key in self.list_kernel_ids() if not self._kernel_connections.get(key)]
        since = {key: getattr(self.get_kernel(key), "last_activity") for key in lost}  # noqa: B009
        oldest = min(since, key=lambda key: since[key], default=None)
        return oldest if oldest and datetime.now(UTC) - since[oldest] > _LEFT else None


def serve(extra: Sequence[str] = (), limit: int | None = None) -> None:
    """Serve the pages until it is stopped.

    Args:
        extra: Voila's own options.
        limit: pages that may be open at once; by default `places()`.

    Raises:
        FileNotFoundError: if there are no notebooks.
    """
    folder = notebooks()
    os.environ["JUPYTER_PATH"] = os.pathsep.join(
        path for path in (str(_TEMPLATES), os.environ.get("JUPYTER_PATH")) if path
    )
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    allowed = places() if limit is None else limit
    app = Voila.instance(config=_settings(folder, allowed))
    app.initialize([str(folder), *extra])
    app.log.info("Pages that may be open at once: %d", app.config.Kernels.limit)
    app.start()


def _settings(folder: Path, limit: int) -> Config:
    """Voila's settings; the command line may override each."""

    def opened(handler: RequestHandler, notebook: NotebookNode, cwd: str) -> NotebookNode:
        assert (
            handler.xsrf_token
        )  # sets a cookie: without it a closed page could not end its kernel
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
            "cull_connected": True,  # a forgotten tab would hold its place for ever
        },
    )


def _front_page(config: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The list of pages, where Voila's templates find it; Voila ignores what is returned for it."""
    config["pages"] = [vars(page_of(path)) for path in sorted(folder.glob("*.ipynb"))]
    return config


def _inside(found: re.Match[str], folder: Path) -> str:
    """A picture's markdown with the file itself in it, as Voila serves nothing from elsewhere."""
    path = folder / found[2]
    if not path.is_file():
        return found[0]
    kind = {"jpg": "jpeg"}.get(found[3], found[3])
    data = base64.b64encode(path.read_bytes()).decode()
    return f"{found[1]}data:image/{kind};base64,{data})"
