"""HDF5 files on a disk that becomes full: an error, not a crash."""

import h5py
import numpy as np
import pytest

from tests.support.faults import in_a_copy, limit_files, small_disk
from workbench.storage.hdf5_file import new_hdf5


def write(path):
    """Chunks, filters, an attribute and many small arrays, about 700 kB; then read some."""
    numbers = np.random.default_rng(0).integers(0, 1 << 60, 50_000)
    with new_hdf5(path) as file:
        file.create_dataset("numbers", data=numbers, chunks=(4096,), fletcher32=True)
        for k in range(300):
            file.create_dataset(f"[{k}, 0]", data=np.full((9, 9), k))
        assert np.array_equal(file["numbers"], numbers)
        file.attrs["sha256"] = "0" * 64


def test_what_is_written_is_read_again(tmp_path):
    write(tmp_path / "a.h5")
    with h5py.File(tmp_path / "a.h5") as file:
        assert len(file) == 301
        assert file["[7, 0]"][0, 0] == 7
        assert file.attrs["sha256"] == "0" * 64


def test_an_error_of_the_content_is_raised(tmp_path):
    with pytest.raises(ZeroDivisionError), new_hdf5(tmp_path / "a.h5") as file:
        file["a"] = 1 / 0


@pytest.mark.parametrize("size", [0, 2_000, 100_000, 450_000, 600_000])
def test_a_full_disk_does_not_crash_the_library(size, tmp_path):
    def task():
        limit_files(size)
        write(tmp_path / "a.h5")

    code, said = in_a_copy(task)
    assert code == 1, "the process crashed"
    assert said == "OSError: [Errno 27] File too large"


def test_a_full_file_system_does_not_crash_the_library(tmp_path):
    with small_disk(tmp_path / "small", "size=256k") as disk:
        code, said = in_a_copy(lambda: write(disk / "a.h5"))
    assert code == 1, "the process crashed"
    assert said == "OSError: [Errno 28] No space left on device"
