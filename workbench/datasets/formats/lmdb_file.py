"""The records of an lmdb file, read page by page within the file's bounds.

The lmdb library maps a file into memory and trusts it: a damaged one ends the process. A file has
pages of equal size, and its numbers are little-endian:

| page | content after the number (8 bytes), 2 unused bytes and the kind (2 bytes) |
|---|---|
| meta, numbers 0 and 1 | from byte 16: magic, version, ..., the root page, ..., the transaction |
| branch, leaf | end of the list of nodes (2), 2 more bytes, then the nodes' positions (2 each) |
| overflow | number of pages (4), then one large value |

A node has 8 bytes of header, a key, and in a leaf a value or, for a large one, the number of its
first overflow page. The layout is that of `mdb.c`, version 1 of the data, of LMDB 0.9.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["LmdbError", "keys", "value"]

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_HEADER = 16
_BRANCH, _LEAF, _OVERFLOW, _META = 1, 2, 4, 8
_BIG = 1  # flag of a node whose value lies in overflow pages
_NO_PAGE = (1 << 64) - 1  # root of an empty file
_DEEPEST = 32
_META_BYTES = 152


class LmdbError(ValueError):
    """A file that is damaged or not of this layout; the message is no sentence."""


@dataclass(frozen=True)
class _Node:
    key: bytes
    flags: int
    child: int  # of a branch: the page below
    size: int  # of a leaf: bytes of the value
    rest: bytes  # of a leaf: what follows the key on the page


class _File:
    """An open file, its page size and the page at the root of its tree."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._size = file, size
        metas = [self._meta(0)]
        self.page_size = metas[0][1]
        metas.append(self._meta(self.page_size))
        _, _, self.root = max(metas)
        if any(meta[1] != self.page_size for meta in metas):
            raise LmdbError("its two heads differ")

    def _meta(self, start: int) -> tuple[int, int, int]:
        """Transaction, page size and root of one of the two heads."""
        page = self.bytes(start, _META_BYTES)
        magic, version = struct.unpack_from("<II", page, _HEADER)
        if not struct.unpack_from("<H", page, 10)[0] & _META or magic != _MAGIC:
            raise LmdbError("it is no lmdb file")
        size = struct.unpack_from("<I", page, 40)[0]
        if version != _VERSION or not 512 <= size <= 1 << 16 or size & (size - 1):
            raise LmdbError("it is of another version of lmdb")
        root, _, transaction = struct.unpack_from("<QQQ", page, 128)
        return transaction, size, root

    def bytes(self, start: int, count: int) -> bytes:
        """A stretch of the file."""
        if not 0 <= start <= start + count <= self._size:
            raise LmdbError("it is truncated or damaged")
        self._file.seek(start)
        found = self._file.read(count)
        if len(found) != count:
            raise LmdbError("it is truncated")
        return found

    def nodes(self, number: int) -> tuple[bool, list[_Node]]:
        """Whether a page is a leaf, and its nodes."""
        page = self.bytes(number * self.page_size, self.page_size)
        flags, lower = struct.unpack_from("<HH", page, 10)
        kind = flags & (_BRANCH | _LEAF | _OVERFLOW | _META)
        if kind not in (_BRANCH, _LEAF) or not _HEADER <= lower <= self.page_size:
            raise LmdbError("a page of its tree is damaged")
        starts = struct.unpack_from(f"<{(lower - _HEADER) // 2}H", page, _HEADER)
        return kind == _LEAF, [self._node(page, start) for start in starts]

    def _node(self, page: bytes, start: int) -> _Node:
        if start + 8 > len(page):
            raise LmdbError("a node of its tree is damaged")
        low, high, flags, length = struct.unpack_from("<HHHH", page, start)
        key = page[start + 8 : start + 8 + length]
        if len(key) != length:
            raise LmdbError("a node of its tree is damaged")
        child = low | high << 16 | flags << 32
        return _Node(key, flags, child, low | high << 16, page[start + 8 + length :])

    def value(self, node: _Node) -> bytes:
        """The value of a leaf's node."""
        if node.flags not in (0, _BIG):
            raise LmdbError("it has databases within the database")
        if node.flags == 0:
            if len(node.rest) < node.size:
                raise LmdbError("a value is damaged")
            return node.rest[: node.size]
        if len(node.rest) < 8:
            raise LmdbError("a value is damaged")
        start = struct.unpack_from("<Q", node.rest)[0] * self.page_size
        flags, pages = struct.unpack("<HI", self.bytes(start, _HEADER)[10:])
        if not flags & _OVERFLOW or _HEADER + node.size > pages * self.page_size:
            raise LmdbError("a value is damaged")
        return self.bytes(start + _HEADER, node.size)


def keys(path: Path) -> Iterator[bytes]:
    """The keys of all records, ascending.

    Raises:
        LmdbError: for a file that is damaged or not of this layout.
    """
    with path.open("rb") as stream:
        file = _File(stream, path.stat().st_size)
        below = [] if file.root == _NO_PAGE else [file.root]
        seen: set[int] = set()
        last = b""
        while below:
            number = below.pop()
            if number in seen:
                raise LmdbError("its tree has a circle")
            seen.add(number)
            is_leaf, nodes = file.nodes(number)
            if not is_leaf:
                below += [node.child for node in reversed(nodes)]
                continue
            for node in nodes:
                if node.key <= last:
                    raise LmdbError("its keys are in no order")
                last = node.key
                yield last


def value(path: Path, key: bytes) -> bytes | None:
    """The value of a key; None if the file does not have it.

    Raises:
        LmdbError: for a file that is damaged or not of this layout.
    """
    with path.open("rb") as stream:
        file = _File(stream, path.stat().st_size)
        number = file.root
        for _ in range(_DEEPEST):
            if number == _NO_PAGE:
                return None
            is_leaf, nodes = file.nodes(number)
            if is_leaf:
                found = [node for node in nodes if node.key == key]
                return file.value(found[0]) if found else None
            if not nodes:
                raise LmdbError("a page of its tree is damaged")
            # The first node of a branch has an empty key: it stands for all smaller ones.
            number = [nodes[0], *(node for node in nodes[1:] if node.key <= key)][-1].child
    raise LmdbError("its tree is too deep")
