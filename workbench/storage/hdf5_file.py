"""HDF5 files that may meet a full disk.

The HDF5 library crashes the process when it cannot write while it closes a file. It therefore
writes through a Python file here, which notes the first error and lets the library finish.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

__all__ = ["new_hdf5"]


@contextmanager
def new_hdf5(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file at ``path``, for writing.

    Raises:
        OSError: the first error of writing, after the file was closed.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from workbench.storage.hdf5_file import new_hdf5
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with new_hdf5(Path(folder, "a.h5")) as file:
    ...         file["numbers"] = [1, 2]
    ...     np.fromfile(Path(folder, "a.h5"), "S4", 1).item()[1:]
    b'HDF'
    """
    with path.open("w+b", buffering=0) as raw:
        noting = _Noting(raw)
        try:
            with h5py.File(noting, "w") as file:
                yield file
        except Exception:
            if noting.error is None:
                raise
        if noting.error is not None:
            raise noting.error


class _Noting(io.RawIOBase):
    """A file that notes the first error of writing and then ignores what is written."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__()
        self._raw = raw
        self.error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._raw.seek(offset, whence)

    def tell(self) -> int:
        return self._raw.tell()

    def readinto(self, buffer: Any) -> int | None:
        return self._raw.readinto(buffer)

    def write(self, content: Any) -> int:
        """All of the content, in as many calls of the system as it takes."""
        rest = memoryview(content).cast("B")
        size = len(rest)
        if self.error is None:
            try:
                while len(rest):
                    rest = rest[self._raw.write(rest) :]
            except BaseException as error:  # Ctrl-C inside the library would crash it as well
                self.error = error
        return size

    def truncate(self, size: int | None = None) -> int:
        if self.error is None:
            try:
                self._raw.truncate(size)
            except BaseException as error:
                self.error = error
        return self.tell() if size is None else size
