"""The command `verify`: a line for each test, and exit code 2 for a fault."""

import json

from tests.support.command_line import refusal, run


def test_a_sound_dataset_gives_a_line_for_each_test():
    result = run("verify", "graphene", "--labels", 0)
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["ok"] * 3


def test_a_damaged_dataset_gives_exit_code_2(tiny_path, tmp_path):
    content = bytearray(tiny_path.read_bytes())
    content[len(content) // 2] ^= 4
    (tmp_path / "a.h5").write_bytes(content)
    result = run("verify", tmp_path / "a.h5")
    assert result.exit_code == 2
    assert result.stdout.splitlines()[-1].startswith("FAULT")
    told = json.loads(run("verify", tmp_path / "a.h5", "--json").stdout)
    assert told["ok"] is False
    assert [finding["ok"] for finding in told["findings"]][-1] is False


def test_what_is_not_there_is_refused():
    assert "There is no dataset, model or run called 'nothing'" in refusal("verify", "nothing")
