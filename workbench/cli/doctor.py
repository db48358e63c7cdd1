"""Check an installation: packages, bundled data and conventions. Attach its output to a bug report.

The list of required packages is read from the metadata of the installed distribution.
"""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from workbench import __version__
from workbench.engines.convention_check import TOLERANCE, convention_residuals
from workbench.storage.bundled import data_path, data_root

__all__ = ["describe", "diagnose"]

DISTRIBUTION = "hamiltonian-workbench"
_FOLDERS = {"structures": ".extxyz", "datasets": ".h5", "checkpoints": ".safetensors"}


def diagnose() -> dict[str, Any]:
    """Describe this installation as a dictionary that can be written as JSON.

    Returns:
        Versions, machine, extras, bundled data, the residual of every convention (dimensionless),
        ``problems`` as sentences that say what to do, and ``ok``: whether there are no problems.
    """
    core, extras = _requirements()
    packages = {name: _version(name) for name in core}
    missing = {extra: [n for n in names if not _version(n)] for extra, names in extras.items()}
    residuals = convention_residuals()
    data = _bundled_data()
    problems = [
        f"{name} is not installed: run `pip install {DISTRIBUTION}` again."
        for name, installed in packages.items()
        if not installed
    ]
    problems += [
        f"The convention {name} has a residual of {residual:.1e}, above {TOLERANCE:.0e}: "
        "do not trust matrices computed here, and report this output."
        for name, residual in residuals.items()
        if not residual <= TOLERANCE  # true for NaN as well
    ]
    problems += [data["problem"]] if "problem" in data else []
    return {
        "ok": not problems,
        "workbench": __version__,
        "python": platform.python_version(),
        "machine": _machine(),
        "packages": packages,
        "extras": {
            extra: {
                "packages": {name: _version(name) for name in names},
                "install": f"pip install '{DISTRIBUTION}[{extra}]'" if missing[extra] else None,
            }
            for extra, names in extras.items()
        },
        "data": data,
        "convention_residuals": residuals,
        "tolerance": TOLERANCE,
        "problems": problems,
    }


def describe(diagnosis: dict[str, Any]) -> str:
    """The diagnosis as text."""
    machine, data = diagnosis["machine"], diagnosis["data"]
    lines = [
        f"Hamiltonian Workbench {diagnosis['workbench']}, Python {diagnosis['python']}",
        f"  {machine['platform']}; {machine['cores']} cores, "
        f"{machine['torch_threads']} torch threads; GPU: {machine['gpu'] or 'none'}",
        "Packages",
        *(
            f"  {name:<18} {installed or 'MISSING'}"
            for name, installed in diagnosis["packages"].items()
        ),
        "Optional extras",
    ]
    for name, extra in diagnosis["extras"].items():
        lines.append(f"  {name:<18} {extra['install'] or 'installed'}")
    lines += [f"Bundled data in {data.get('root', 'no folder')}"]
    lines += [f"  {folder:<18} {', '.join(data.get(folder, [])) or 'none'}" for folder in _FOLDERS]
    lines += [f"Conventions: rotate and recompute, tolerance {diagnosis['tolerance']:.0e}"]
    for name, residual in diagnosis["convention_residuals"].items():
        lines.append(f"  {residual:8.1e}  {name}")
    lines += diagnosis["problems"] or ["No problems found."]
    return "\n".join(lines)


def _machine() -> dict[str, Any]:
    import torch  # imported here, so that the other functions work where torch is broken

    return {
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
    }


def _requirements() -> tuple[list[str], dict[str, list[str]]]:
    """Names of the required packages and of the packages of each extra, from the metadata."""
    try:
        declared = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        raise RuntimeError(
            f"{DISTRIBUTION} is on the import path but not installed: run `pip install -e .`."
        ) from None
    core: list[str] = []
    extras: dict[str, list[str]] = {}
    for line in declared:
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        extra = re.search(r"extra == ['\"]([^'\"]+)", line)
        if name != DISTRIBUTION and not (extra and extra[1] == "all"):
            (extras.setdefault(extra[1], []) if extra else core).append(name)
    return sorted(core, key=str.lower), extras


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _bundled_data() -> dict[str, Any]:
    try:
        root = data_root()
    except FileNotFoundError as error:
        return {"problem": str(error)}
    names = {
        folder: sorted(p.stem for p in data_path(folder).glob(f"*{suffix}"))
        for folder, suffix in _FOLDERS.items()
    }
    return {"root": str(root), **names}
