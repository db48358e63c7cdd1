"""Gives datasets and models of older versions checksums, and bundled ones their new cards.

    python data/add_checksums.py [FILE ...]

Without names all bundled files are treated. Content and its hash, weights and predictions stay the
same; files that have checksums stay as they are. What is written today has checksums already.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import sys
from pathlib import Path

import torch

from workbench.datasets.hdf5_layout import add_checksums
from workbench.models.tensor_file import is_sealed, read_tensors, write_tensors
from workbench.storage.bundled import data_path


def seal(path: Path) -> None:
    """Give a model a checksum, unless it has one."""
    if is_sealed(path):
        return
    tensors, header = read_tensors(path)
    write_tensors(path, tensors, header)
    again, same = read_tensors(path)
    equal = [torch.equal(t, again[n]) and t.dtype == again[n].dtype for n, t in tensors.items()]
    if not all(equal) or len(again) != len(tensors) or same != header:
        raise SystemExit(f"{path} is not the same any more: restore it.")


def update_card(path: Path) -> None:
    """Correct size and hash of a file on the card beside it, if there is one."""
    card = path.with_suffix(".md")
    if not card.is_file():
        return
    size = rf"\g<1>{path.stat().st_size:,} bytes"
    text = re.sub(rf"(`{re.escape(path.name)}`, )[\d,]+ bytes", size, card.read_text())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    card.write_text(re.sub(r"(sha256 of the file \| `)\w+`", rf"\g<1>{digest}`", text))


def main() -> None:
    """Treat the named files, or all bundled ones."""
    parser = argparse.ArgumentParser(description="Add checksums to datasets and models.")
    parser.add_argument("files", nargs="*", type=Path, help=".h5 or .safetensors; else all bundled")
    bundled = [*data_path("datasets").glob("*.h5"), *data_path("checkpoints").glob("*.safetensors")]
    for path in parser.parse_args().files or sorted(bundled):
        before = path.stat().st_size
        if path.suffix == ".h5":
            add_checksums(path)
        else:
            seal(path)
        update_card(path)
        sys.stdout.write(f"{path}: {path.stat().st_size - before:+d} bytes\n")


if __name__ == "__main__":
    main()
