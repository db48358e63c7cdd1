"""lmdb files: the same records as the lmdb library reads, and no other."""

import random

import pytest

from workbench.datasets.formats.lmdb_file import LmdbError, keys, value

lmdb = pytest.importorskip("lmdb")


def written(folder, records, deleted=()):
    """A file with these records, in several transactions, some of them deleted again."""
    with lmdb.open(str(folder), map_size=1 << 28) as environment:
        for start in range(0, len(records), 100):
            with environment.begin(write=True) as transaction:
                for key in list(records)[start : start + 100]:
                    transaction.put(key, records[key])
        with environment.begin(write=True) as transaction:
            for key in deleted:
                assert transaction.delete(key)
    return folder / "data.mdb"


@pytest.mark.parametrize("largest", [10, 1000, 20_000])
def test_records_are_those_of_the_library(largest, tmp_path):
    """Values within leaves, and in overflow pages; trees of one to three levels."""
    rng = random.Random(largest)
    numbers = rng.sample(range(1 << 32), 1500)
    records = {n.to_bytes(4, "big"): rng.randbytes(rng.randrange(largest)) for n in numbers}
    deleted = rng.sample(list(records), 400)
    path = written(tmp_path, records, deleted)
    for key in deleted:
        del records[key]
    assert list(keys(path)) == sorted(records)
    assert all(value(path, key) == content for key, content in records.items())
    assert value(path, deleted[0]) is None
    assert value(path, b"") is None


def test_an_empty_file_has_no_records(tmp_path):
    path = written(tmp_path, {})
    assert list(keys(path)) == []
    assert value(path, b"abcd") is None


def test_a_later_transaction_goes_before(tmp_path):
    for number in range(5):
        path = written(tmp_path, {b"same": bytes([number])})
        assert value(path, b"same") == bytes([number])


def test_damaged_files_are_refused(tmp_path):
    path = written(tmp_path, {bytes([k]): bytes(5000) for k in range(1, 9)})
    sound = path.read_bytes()
    for end in (0, 100, 5000, len(sound) - 5000):
        path.write_bytes(sound[:end])
        with pytest.raises(LmdbError):
            [value(path, key) for key in keys(path)]
    path.write_bytes(b"\x00" * len(sound))
    with pytest.raises(LmdbError, match="no lmdb file"):
        list(keys(path))


def test_a_tree_with_a_circle_ends(tmp_path):
    """The root of both heads is a branch whose children are the branch itself."""
    numbers = [k.to_bytes(4, "big") for k in range(2000)]
    path = written(tmp_path, dict.fromkeys(numbers, b"x" * 100))
    data = bytearray(path.read_bytes())
    roots = [int.from_bytes(data[start : start + 8], "little") for start in (128, 4096 + 128)]
    for root in set(roots):
        page = root * 4096
        if data[page + 10] & 1:  # a branch
            first = int.from_bytes(data[page + 16 : page + 18], "little")
            data[page + first : page + first + 4] = root.to_bytes(4, "little")
    path.write_bytes(data)
    with pytest.raises(LmdbError, match="circle"):
        list(keys(path))
    with pytest.raises(LmdbError, match="too deep"):
        value(path, numbers[0])
