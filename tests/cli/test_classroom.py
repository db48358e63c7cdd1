"""What a class sees of the pages, and how many may be open; tests/browser opens one."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from datetime import timedelta
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from tornado.web import HTTPError

from workbench.cli.classroom import TASK, Kernels, for_class, page_of, places

FOLDER = Path(__file__).parents[2] / "notebooks"
PAGES = sorted(FOLDER.glob("*.ipynb"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_front_page_announces_every_page(path):
    page = page_of(path)
    assert page.title
    assert page.title != path.stem
    assert page.goals.endswith(".")
    assert not set("$\\*") & set(page.goals)
    assert 5 <= int(page.minutes) <= 90


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_notebooks_stay_as_they_are_and_only_tasks_change(path):
    notebook = nbformat.read(path, as_version=4)
    before = deepcopy(notebook)
    seen = for_class(notebook, FOLDER)
    assert notebook == before
    code = [cell.source for cell in seen.cells if cell.cell_type == "code"]
    original = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert [source.removeprefix("%%capture\n") for source in code] == original
    quiet = [source for source in code if source.startswith("%%capture\n")]
    assert len(quiet) == sum(TASK in source for source in original)
    assert sum("A task in code" in cell.source for cell in seen.cells) == len(quiet)
    nbformat.validate(seen)


def test_pictures_travel_inside_the_page(tmp_path):
    (tmp_path / "a.png").write_bytes(b"picture")
    text = "![one](a.png) ![two](https://elsewhere.org/b.png) ![three](missing.png)"
    cell = for_class(new_notebook(cells=[new_markdown_cell(text)]), tmp_path).cells[1]
    assert "![one](data:image/png;base64,cGljdHVyZQ==)" in cell.source
    assert "![two](https://elsewhere.org/b.png)" in cell.source
    assert "![three](missing.png)" in cell.source


def test_a_captured_task_still_defines_its_names():
    from IPython.core.interactiveshell import InteractiveShell

    shown = for_class(new_notebook(cells=[new_code_cell(f"x = 2  {TASK}\nprint(x)")]), FOLDER)
    [source] = [cell.source for cell in shown.cells if cell.cell_type == "code"]
    shell = InteractiveShell()
    shell.run_cell(source).raise_error()
    assert shell.user_ns["x"] == 2


def test_memory_allows_for_two_pages_at_least():
    assert places() >= 2


def test_no_more_pages_than_places_unless_one_was_lost(tmp_path):
    """Two open a page at once where there is one place; later the first one's laptop sleeps."""

    async def lesson():
        kernels = Kernels(limit=1, connection_dir=str(tmp_path), root_dir=str(tmp_path))
        try:
            rush = [kernels.start_kernel() for _ in range(2)]
            first, refused = await asyncio.gather(*rush, return_exceptions=True)
            assert isinstance(refused, HTTPError)
            assert refused.status_code == 503
            assert "All places are taken (1)" in str(refused.log_message)

            kernels.get_kernel(first).last_activity -= timedelta(minutes=10)
            kernels.notify_connect(first)
            with pytest.raises(HTTPError):  # idle, but a browser shows it
                await kernels.start_kernel()
            kernels.notify_disconnect(first)
            second = await kernels.start_kernel()
            assert kernels.list_kernel_ids() == [second]
        finally:
            await kernels.shutdown_all(now=True)

    asyncio.run(lesson())
