"""A real JupyterLab in a real Chromium, for tests and for benchmarks/live.py."""

from __future__ import annotations

import ast
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import nbformat
from playwright.sync_api import Page, sync_playwright

CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_QUIET = {
    "@jupyterlab/apputils-extension:notification": {
        "fetchNews": "false",
        "checkForUpdates": False,
        "doNotDisturbMode": True,
    },
}

TEN_MINUTES = 600.0  # seconds; a notebook may take one
_KEEP_OUTCOME = """argument => {{
    const outcome = window.outcome = {{ settled: false }};
    const keep = (what) => Object.assign(outcome, what, {{ settled: true }});
    ({function})(argument).then((value) => keep({{ value }}),
        (error) => keep({{ error: String(error?.stack ?? error) }}));
}}"""
_SCROLL = "k => window.jupyterapp.shell.currentWidget.content.scrollToItem(k, 'start')"
TURNED = """([picture, heat]) => {
    const { settled, sent } = document.querySelector(picture).dataset;
    return settled === 'true' && (!heat || document.querySelector(heat).dataset.tick === sent);
}"""
SHOWN = """([where, value]) => {
    const expected = document.createElement('div');
    expected.innerHTML = value;
    const inside = `${where} .widget-html-content`;
    return [...document.querySelectorAll(inside)].some(e => e.innerHTML === expected.innerHTML);
}"""


def chromium_path() -> str | None:
    """The installed Chromium, or None."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), None)


def settled(page: Page, function: str, argument: Any = None) -> Any:
    """The result of an asynchronous function on the page; raises its error.

    With `page.evaluate` only V8's inspector would wait for the promise, and V8 may collect such a
    promise (fixed in July 2026). So the page stores the outcome, and it is polled here.
    """
    page.evaluate(_KEEP_OUTCOME.format(function=function), argument)
    until = time.monotonic() + TEN_MINUTES
    while not page.evaluate("() => window.outcome.settled"):
        if time.monotonic() > until:
            raise TimeoutError(f"{function} gave no result within ten minutes.")
        page.wait_for_timeout(10)
    outcome = page.evaluate("() => window.outcome")
    if "error" in outcome:
        raise RuntimeError(outcome["error"])
    return outcome.get("value")


def write_notebook(path: Path, *cells: str) -> Path:
    """Write a notebook with these code cells."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    notebook.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    nbformat.write(notebook, path)
    return path


def free_port() -> int:
    """A free TCP port of the loopback interface."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def jupyter_server(root: Path) -> Iterator[str]:
    """Run JupyterLab on `root` with fresh settings; yields its address.

    It needs no token, as it listens on the loopback only and ends with the block.
    """
    with tempfile.TemporaryDirectory(prefix="workbench-lab-") as home:
        environment = _own_environment(Path(home))
        port = free_port()
        command = [
            *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
            f"--ServerApp.root_dir={root}",
            *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
            *(
                "--IdentityProvider.token=",
                "--ServerApp.password=",
                "--ServerApp.disable_check_xsrf=True",
            ),
            "--LabApp.expose_app_in_browser=True",
            f"--LabApp.app_settings_dir={home}/app-settings",
        ]
        with _running(command, environment, f"http://127.0.0.1:{port}/api", Path(home)):
            yield f"http://127.0.0.1:{port}"


@contextmanager
def class_server(*options: str) -> Iterator[str]:
    """Run `python -m workbench class` with fresh settings; yields its address."""
    with tempfile.TemporaryDirectory(prefix="workbench-class-") as home:
        address = f"http://127.0.0.1:{(port := free_port())}"
        command = [sys.executable, "-m", "workbench", "class", *options, "--no-browser"]
        command += ["--Voila.ip=127.0.0.1", f"--port={port}"]
        with _running(command, _own_environment(Path(home)), address, Path(home)):
            yield address


@contextmanager
def own_server(command: str, *options: str) -> Iterator[tuple[int, int]]:
    """Run `python -m workbench lab` or `class` as a user does; yields its port and process ID."""
    with tempfile.TemporaryDirectory(prefix="workbench-own-") as home:
        port = free_port()
        words = [sys.executable, "-m", "workbench", command, "--no-browser", f"--port={port}"]
        environment = _own_environment(Path(home))
        address = f"http://127.0.0.1:{port}"
        with _running([*words, *options], environment, address, Path(home)) as server:
            yield port, server.pid


@contextmanager
def _running(
    command: list[str], environment: dict[str, str], address: str, home: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server until the block ends; the block starts when the address responds."""
    with open(home / "server.log", "w") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            _wait_until_up(address, server, Path(output.name))
            yield server
        finally:
            server.terminate()  # it stops its kernels, which takes time on a busy machine
            try:
                server.wait(timeout=60)
            except subprocess.TimeoutExpired:
                server.kill()


def _own_environment(home: Path) -> dict[str, str]:
    """Environment with new Jupyter folders, one thread, and errors raised in the kernel."""
    settings = home / "app-settings"
    settings.mkdir(parents=True)
    (settings / "overrides.json").write_text(json.dumps(_QUIET))
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
        "JUPYTERLAB_SETTINGS_DIR": "user-settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }
    for folder in folders.values():
        (home / folder).mkdir()
    paths = {name: str(home / folder) for name, folder in folders.items()}
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    return {**os.environ, **paths, **threads, "WORKBENCH_RAISE": "1"}


def _wait_until_up(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(3000):
        if server.poll() is not None:
            raise RuntimeError(f"The server stopped:\n{log.read_text()[-2000:]}")
        try:
            urlopen(address, timeout=1).read()
            return
        except HTTPError:  # an answer, if only that a token is missing
            return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError("The server did not answer within five minutes.")


class LabPage:
    """A browser page on a JupyterLab server; records its errors and requests to other hosts."""

    def __init__(self, page: Page, address: str):
        self.page, self.address = page, address
        self.errors: list[str] = []
        self.foreign: list[str] = []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._note_request)

    def _note_request(self, request: Any) -> None:
        local = ("data:", "blob:", "http://127.0.0.1:", "ws://127.0.0.1:", "about:")
        if not request.url.startswith(local):
            self.foreign.append(request.url)

    def open(self, notebook: str) -> None:
        """Open a notebook and wait until its kernel can run cells (otherwise a dialog appears).

        Kernels of other notebooks are shut down, so that they do not compute or accumulate.
        """
        self.page.goto(f"{self.address}/lab/tree/{notebook}?reset")
        self.page.wait_for_function("() => window.jupyterapp")
        settled(
            self.page,
            """async () => {
                const app = window.jupyterapp;
                await app.restored;
                while (!app.shell.currentWidget?.context) await new Promise(r => setTimeout(r, 50));
                const context = app.shell.currentWidget.context;
                await context.ready;
                await context.sessionContext.ready;
                while (context.sessionContext.session?.kernel?.connectionStatus !== 'connected')
                    await new Promise(r => setTimeout(r, 50));
                const { sessions } = app.serviceManager;
                await sessions.refreshRunning();
                const others = [...sessions.running()].map(({ id }) => id);
                const own = context.sessionContext.session.id;
                await Promise.all(others.filter(id => id !== own).map(id => sessions.shutdown(id)));
            }""",
        )

    def command(self, name: str) -> None:
        """Run a JupyterLab command and wait for its end."""
        settled(self.page, "name => window.jupyterapp.commands.execute(name).then(() => {})", name)

    def run_all(self) -> None:
        """Run all cells; returns when the last one is done."""
        self.command("notebook:run-all-cells")

    def run_code(self, code: str) -> None:
        """Run code in the notebook's kernel, outside its cells."""
        self._ask_kernel(code, "")

    def evaluate(self, expression: str) -> str:
        """`str` of an expression, evaluated in the notebook's kernel."""
        answer = self._ask_kernel("", f"str({expression})")
        return ast.literal_eval(answer)

    def _ask_kernel(self, code: str, expression: str) -> str:
        return settled(
            self.page,
            """async ([code, expression]) => {
                const { context } = window.jupyterapp.shell.currentWidget;
                const kernel = context.sessionContext.session.kernel;
                const user_expressions = expression ? { answer: expression } : {};
                const reply = await kernel.requestExecute({ code, user_expressions }).done;
                if (reply.content.status !== 'ok') throw new Error(reply.content.evalue);
                const { answer } = reply.content.user_expressions;
                if (answer && answer.status !== 'ok') throw new Error(answer.evalue);
                return answer ? answer.data['text/plain'] : '';
            }""",
            [code, expression],
        )

    def wait_until_turned(self, picture: str, heat: str = "") -> None:
        """Wait until a picture's newest orientation is answered and, if given, a map painted."""
        self.page.wait_for_function(TURNED, arg=[picture, heat])

    def wait_until_shown(self, where: str, value: str) -> None:
        """Wait until an element on the page contains the HTML that a widget has in the kernel.

        Waiting for any change would not suffice: an earlier repaint may still be in progress.

        Args:
            where: selector of the HTML widget, or of an element around it.
            value: expression for the HTML.
        """
        self.page.wait_for_function(SHOWN, arg=[where, self.evaluate(value)])

    def scroll_to(self, cell: int) -> None:
        """Scroll a cell to the top: cells out of sight are not on the page."""
        settled(self.page, _SCROLL, cell)

    def hide_sidebar(self) -> None:
        """Give the notebook the whole width."""
        self.page.evaluate("() => window.jupyterapp.shell.collapseLeft()")

    def cell_errors(self) -> list[str]:
        """Text of every error that a cell shows."""
        outputs = self.page.locator(
            ".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr'], "
            ".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']"
        )
        return [text for text in outputs.all_inner_texts() if text.strip()]


@contextmanager
def browser_page(
    address: str, width: int = 1280, height: int = 800, scale: int = 1
) -> Iterator[LabPage]:
    """A page of Debian's Chromium with software WebGL."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
        try:
            page = browser.new_page(
                viewport={"width": width, "height": height}, device_scale_factor=scale
            )
            page.set_default_timeout(120_000)  # a wait that succeeds costs nothing
            yield LabPage(page, address)
        finally:
            browser.close()
