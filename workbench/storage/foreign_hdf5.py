"""HDF5 files of unknown origin: every array is examined before any of it is read.

A few kilobytes of HDF5 can declare arrays of terabytes, chunks that inflate to gigabytes, and
arrays that lie in another file of the machine. `arrays` refuses all of these. It follows no link
but the names of arrays in the file itself, and it bounds what the arrays take in memory by the size
of the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

import h5py

__all__ = ["UnsafeFileError", "arrays", "faults", "open_file", "text", "text_attribute"]

_low: Any = h5py  # whose low-level modules have no annotations

_FILTERS = {_low.h5z.FILTER_DEFLATE, _low.h5z.FILTER_SHUFFLE, _low.h5z.FILTER_FLETCHER32}

_ALWAYS = 64 << 20
"""Bytes that the arrays of a file may take in memory, however small the file is."""

_RATIO = 100
"""Bytes beyond `_ALWAYS` that they may take, per byte of the file. Numbers compress by 2 to 20."""

_LARGEST_CHUNK = 4 << 20
"""Bytes of a chunk in memory; HDF5's own choice is at most 1 MiB."""

_LARGEST_STORED = 1 << 20
"""Bytes of a compressed chunk in the file: gzip inflates them to at most 1,032 times as many."""


class UnsafeFileError(ValueError):
    """A file that must not be read; the message is a clause that says why."""


@contextmanager
def faults() -> Iterator[None]:
    """Turn any error of the HDF5 library into one kind.

    Raises:
        UnsafeFileError: for a damaged file.
    """
    try:
        yield
    except UnsafeFileError:
        raise
    # h5py raises all of these for damaged files, depending on which byte is wrong.
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError) as error:
        raise UnsafeFileError("it is truncated, damaged or no HDF5 file") from error


def open_file(path: Path, **options: Any) -> h5py.File:
    """Open a file for reading; ``options`` as of ``h5py.File``.

    Raises:
        UnsafeFileError: for a file that is damaged or of another kind.
    """
    with faults():
        return h5py.File(path, "r", **options)


def arrays(file: h5py.File, depth: int = 0) -> dict[str, h5py.Dataset]:
    """All arrays of a file by path, none of which takes more memory than the file can hold.

    Args:
        file: open for reading.
        depth: how deep groups may be nested.

    Raises:
        UnsafeFileError: for links, virtual datasets, external storage, filters other than gzip,
            shuffle and Fletcher-32, types other than numbers and texts, data that are not in the
            file, and arrays that are too large for it.

    >>> import h5py, tempfile
    >>> from workbench.storage import foreign_hdf5
    >>> with tempfile.TemporaryDirectory() as folder, h5py.File(folder + "/a.h5", "w") as file:
    ...     file["x"] = np.arange(3.0)
    ...     foreign_hdf5.arrays(file)["x"].shape
    (3,)
    """
    found: dict[str, h5py.Dataset] = {}
    with faults():
        size = file.id.get_filesize()
        _walk(file.id, "", depth, found)
        left = _ALWAYS + _RATIO * size
        for name, array in found.items():
            left -= _examined(name, array.id, size)
            if not left >= 0:
                raise UnsafeFileError(f"it declares arrays that are too large for its {size} bytes")
    return found


def text_attribute(file: h5py.File, name: str) -> str | None:
    """The text of an attribute of the file; None if there is none.

    Raises:
        UnsafeFileError: for an attribute that is no text.
    """
    with faults():
        if not _low.h5a.exists(file.id, name.encode()):
            return None
        attribute = _low.h5a.open(file.id, name.encode())
        if attribute.shape != () or h5py.check_string_dtype(attribute.dtype) is None:
            raise UnsafeFileError(f"its attribute {name!r} is not a text")
        value = file.attrs[name]
        return _sound(value.decode() if isinstance(value, bytes) else str(value))


def text(array: h5py.Dataset) -> str:
    """The text of an array without dimensions.

    Raises:
        UnsafeFileError: for an array that is no text.
    """
    with faults():
        if array.shape != () or h5py.check_string_dtype(array.dtype) is None:
            raise UnsafeFileError(f"its array {array.name!r} is not a text")
        return _sound(str(array.asstr()[()]))


def _sound(found: str) -> str:
    """A text, if it is UTF-8; h5py also returns others, in a form that cannot be written again."""
    found.encode()
    return found


def _walk(group: Any, prefix: str, depth: int, found: dict[str, h5py.Dataset]) -> None:
    """Collect the arrays of a group, and of the groups in it up to a depth."""
    links: list[tuple[bytes, int]] = []
    # An error that such a function raised would become a SystemError in h5py.
    group.links.iterate(lambda name, info: links.append((name, info.type)), info=True)
    for name, kind in links:
        if kind != _low.h5l.TYPE_HARD:
            raise UnsafeFileError(
                f"its entry {_shown(prefix, name)} is a link, and only arrays in the file itself "
                "are read"
            )
        item: Any = _low.h5o.open(group, name)
        if isinstance(item, _low.h5d.DatasetID):
            found[f"{prefix}{name.decode()}"] = h5py.Dataset(item)
        elif isinstance(item, _low.h5g.GroupID) and depth:
            _walk(item, f"{prefix}{name.decode()}/", depth - 1, found)
        else:
            raise UnsafeFileError(f"its entry {_shown(prefix, name)} is not an array")


def _shown(prefix: str, name: bytes) -> str:
    return repr(prefix + name.decode(errors="replace"))


def _examined(name: str, array: Any, size: int) -> int:
    """Bytes that an array takes in memory; raises an error if the file does not contain them."""
    shape, dtype = array.shape, array.dtype
    if shape is None or not (dtype.kind in "biufcS" or (dtype.kind == "O" and shape == ())):
        raise UnsafeFileError(f"its array {name!r} is not of numbers")
    bytes_ = prod(shape) * dtype.itemsize
    properties = array.get_create_plist()
    layout = properties.get_layout()
    if layout == _low.h5d.CHUNKED:
        _examine_chunks(name, array, shape, dtype.itemsize, size)
    elif layout == _low.h5d.CONTIGUOUS and bytes_:
        if properties.get_external_count():
            raise UnsafeFileError(f"its array {name!r} lies in another file")
        start = array.get_offset()
        if start is None or not start + bytes_ <= size:
            raise _absent(name)
    elif layout == _low.h5d.COMPACT:
        if not bytes_ <= array.get_storage_size():
            raise _absent(name)
    elif layout == _low.h5d.VIRTUAL:
        raise UnsafeFileError(f"its array {name!r} is put together from other files")
    return bytes_


def _examine_chunks(
    name: str, array: Any, shape: tuple[int, ...], itemsize: int, size: int
) -> None:
    """Raise an error unless all chunks are in the file, of usual size, and of usual filters."""
    properties = array.get_create_plist()
    chunk = properties.get_chunk()
    filters = {properties.get_filter(k)[0] for k in range(properties.get_nfilters())}
    if not filters <= _FILTERS:
        raise UnsafeFileError(f"its array {name!r} is compressed by another filter than gzip")
    of_chunk = prod(chunk) * itemsize
    largest = min(of_chunk, _LARGEST_STORED) * 1.01 + 64  # gzip may add a little
    if not 0 < of_chunk <= _LARGEST_CHUNK:
        raise UnsafeFileError(f"its array {name!r} has chunks of {of_chunk} bytes")
    stored: list[tuple[int, int]] = []
    array.chunk_iter(lambda info: stored.append((info.size, info.byte_offset)))
    if not all(length <= largest and start + length <= size for length, start in stored):
        raise UnsafeFileError(f"its array {name!r} has a chunk that is too large for it")
    needed = prod(-(-n // c) for n, c in zip(shape, chunk, strict=True))
    if len(stored) != needed or not sum(length for length, _ in stored) <= size:
        raise _absent(name)


def _absent(name: str) -> UnsafeFileError:
    return UnsafeFileError(f"it does not contain all of its array {name!r}")
