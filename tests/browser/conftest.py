"""One JupyterLab for all browser tests; a page with a running kernel for each module."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.jupyter import LabPage, browser_page, chromium_path, jupyter_server

REPOSITORY = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder; without Chromium they are skipped, on CI they fail."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here:
        item.add_marker(pytest.mark.browser)
        if chromium_path() is None and not os.environ.get("CI"):
            item.add_marker(pytest.mark.skip("needs Chromium: apt-get install chromium"))


@pytest.fixture(scope="session")
def notebooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with copies of the project's notebooks, for tests to add theirs to."""
    folder = tmp_path_factory.mktemp("notebooks")
    for notebook in (REPOSITORY / "notebooks").glob("*.ipynb"):
        shutil.copy(notebook, folder)
    return folder


@pytest.fixture(scope="session")
def server(notebooks: Path) -> Iterator[str]:
    """Address of a JupyterLab of our own."""
    with jupyter_server(notebooks) as address:
        yield address


@pytest.fixture(scope="module")
def page(server: str) -> Iterator[LabPage]:
    """A browser page; the module's tests share it."""
    with browser_page(server) as lab:
        yield lab
