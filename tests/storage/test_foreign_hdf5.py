"""HDF5 files of unknown origin: what is not in the file, or too large for it, is refused."""

import zlib

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t

from workbench.storage import foreign_hdf5
from workbench.storage.foreign_hdf5 import UnsafeFileError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.h5"


def refusal(path, depth=1):
    """Why a file is refused; the array is also closed."""
    with pytest.raises(UnsafeFileError) as raised, foreign_hdf5.open_file(path) as file:
        foreign_hdf5.arrays(file, depth)
    return str(raised.value)


def test_usual_arrays_are_found_with_their_content(path):
    stored = {
        "f": np.arange(6.0).reshape(2, 3),
        "i": np.arange(5, dtype="<i2"),
        "b": np.array([True, False]),
        "c": np.ones((2, 2), complex),
        "g/deep": np.zeros((0, 3)),
    }
    with h5py.File(path, "w") as file:
        for name, array in stored.items():
            file[name] = array
        file.create_dataset("z", data=np.zeros((999, 3)), compression="gzip", chunks=(100, 3))
        file["text"] = "several words"
        file.attrs["note"] = "n"
    with foreign_hdf5.open_file(path) as file:
        found = foreign_hdf5.arrays(file, depth=1)
        assert set(found) == {*stored, "z", "text"}
        for name, array in stored.items():
            np.testing.assert_array_equal(found[name][()], array)
        assert foreign_hdf5.text(found["text"]) == "several words"
        assert foreign_hdf5.text_attribute(file, "note") == "n"
        assert foreign_hdf5.text_attribute(file, "absent") is None
        with pytest.raises(UnsafeFileError, match="'/f' is not a text"):
            foreign_hdf5.text(found["f"])


@pytest.mark.parametrize("link", ["soft", "external"])
def test_links_are_not_followed(path, tmp_path, link):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.arange(3)
    target = {"soft": h5py.SoftLink("/x"), "external": h5py.ExternalLink("other.h5", "secret")}
    with h5py.File(path, "w") as file:
        file["x"] = 1.0
        file["y"] = target[link]
    assert refusal(path).startswith("its entry 'y' is a link")


def test_storage_outside_the_file_is_not_read(path, tmp_path):
    with h5py.File(path, "w") as file:
        outside = [("/etc/passwd", 0, 24)]
        file.create_dataset("x", shape=(3,), dtype="<f8", external=outside)
    assert refusal(path) == "its array 'x' lies in another file"


def test_virtual_datasets_are_not_read(path, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.arange(3.0)
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout(shape=(3,), dtype="<f8")
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "secret", shape=(3,))
        file.create_virtual_dataset("x", layout)
    assert refusal(path) == "its array 'x' is put together from other files"


def test_a_group_in_itself_and_deep_groups_are_refused(path):
    with h5py.File(path, "w") as file:
        file["g/x"] = 1.0
        file["g/again"] = file["g"]
    assert refusal(path) == "its entry 'g/again' is not an array"
    assert refusal(path, depth=0) == "its entry 'g' is not an array"


@pytest.mark.parametrize("shape", [(200_000, 200_000), (4_000_000_000,)])
@pytest.mark.parametrize("how", [{}, {"chunks": True}, {"chunks": True, "compression": "gzip"}])
def test_a_declared_shape_without_data_is_refused_before_it_is_allocated(path, shape, how):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", shape=shape, dtype="<f8", **how)
    assert refusal(path) == "it does not contain all of its array 'x'"


def test_arrays_that_compress_too_well_are_refused(path):
    """A bomb: 1 GiB of zeros in a megabyte."""
    with h5py.File(path, "w") as file:
        packed = zlib.compress(bytes(4 << 20), 9)
        x = file.create_dataset("x", (128 << 20,), "<f8", chunks=(1 << 19,), compression="gzip")
        for k in range(256):
            x.id.write_direct_chunk((k << 19,), packed)
    assert refusal(path).startswith("it declares arrays that are too large for its 10")


def test_a_chunk_that_inflates_to_more_than_it_declares_is_refused(path):
    with h5py.File(path, "w") as file:
        x = file.create_dataset("x", (8,), "<f8", chunks=(8,), compression="gzip")
        x.id.write_direct_chunk((0,), zlib.compress(bytes(64 << 20)))
    assert refusal(path) == "its array 'x' has a chunk that is too large for it"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (8,), "<f8", chunks=(1 << 20,), maxshape=(None,))
    assert refusal(path) == "its array 'x' has chunks of 8388608 bytes"


def test_one_array_under_a_thousand_names_is_counted_a_thousand_times(path):
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(100_000)
        for k in range(300):
            file[f"x{k}"] = file["x"]
    assert refusal(path).startswith("it declares arrays that are too large")


def test_other_filters_and_types_are_refused(path):
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.arange(9), compression="lzf")
    assert refusal(path) == "its array 'x' is compressed by another filter than gzip"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=["a", "b"], dtype=h5py.string_dtype())
    assert refusal(path) == "its array 'x' is not of numbers"
    with h5py.File(path, "w") as file:
        file["x"] = np.zeros(3, dtype=[("a", "<f8"), ("b", "<i4")])
    assert refusal(path) == "its array 'x' is not of numbers"
    with h5py.File(path, "w") as file:
        file["x"] = h5py.Empty("f8")
    assert refusal(path) == "its array 'x' is not of numbers"
    with h5py.File(path, "w") as file:
        file["x"] = np.dtype("<f8")
    assert refusal(path) == "its entry 'x' is not an array"


def test_compact_arrays_are_read(path):
    with h5py.File(path, "w") as file:
        properties = h5p.create(h5p.DATASET_CREATE)
        properties.set_layout(h5d.COMPACT)
        space = h5s.create_simple((4,))
        stored = h5d.create(file.id, b"x", h5t.IEEE_F64LE, space, properties)
        stored.write(h5s.ALL, h5s.ALL, np.arange(4.0))
    with foreign_hdf5.open_file(path) as file:
        np.testing.assert_array_equal(foreign_hdf5.arrays(file)["x"][()], np.arange(4.0))


def test_other_files_are_refused(path):
    path.write_text("hello")
    with pytest.raises(UnsafeFileError, match="truncated, damaged or no HDF5 file"):
        foreign_hdf5.open_file(path)
    with h5py.File(path, "w") as file:
        file.attrs["note"] = np.zeros(3)
    with (
        foreign_hdf5.open_file(path) as file,
        pytest.raises(UnsafeFileError, match="'note' is not a text"),
    ):
        foreign_hdf5.text_attribute(file, "note")
