"""Help pages: their examples have options that exist, and `train --help` lists every setting."""

import re
import shlex
from dataclasses import fields
from typing import Any

import pytest
import typer

from tests.support.command_line import parse, run
from workbench.cli.app import app
from workbench.cli.settings import configured
from workbench.cli.settings_table import settings_table
from workbench.models.config import ModelConfig
from workbench.training.config import TrainConfig


def pages(command: Any, name: str = "") -> dict[str, Any]:
    """Each command and group, by its name."""
    found = {name: command}
    for key, child in getattr(command, "commands", {}).items():
        found |= pages(child, f"{name} {key}".strip())
    return found


PAGES = pages(typer.main.get_command(app))
START = "python -m workbench "


@pytest.mark.parametrize("name", PAGES)
def test_a_page_ends_with_examples_that_parse(name):
    examples = PAGES[name].examples
    assert 1 <= len(examples) <= 3
    shown = run(*name.split(), "--help").stdout
    for example in examples:
        assert f"\n  {example}\n" in shown
        assert f"{START}{name}" in example
        words = shlex.split(example.partition(START)[2])
        if "--help" not in words:  # which would end the parsing
            parse(words)


def test_the_examples_are_not_in_the_text_about_the_command():
    for name, command in PAGES.items():
        assert command.help, name
        assert "Examples" not in command.help


@pytest.mark.parametrize("command", ["train", "reproduce"])
def test_the_page_of_a_training_lists_every_setting(command):
    shown = run(command, "--help").stdout
    assert settings_table() in shown
    for kind in (ModelConfig, TrainConfig):
        for field in fields(kind):
            assert (f"\n  {field.name}=" in shown) == (field.name not in ("stage1", "stage2"))
    assert max(len(line) for line in settings_table().splitlines()) <= 100
    assert "  layers=2                     message-passing layers of stage 1\n" in shown
    assert "\n      a whole number from 1 to 64\n" in shown


def test_each_listed_default_can_be_set():
    first = ModelConfig(), TrainConfig()
    words = [line.split()[0] for line in settings_table().splitlines() if re.match("  [a-z]", line)]
    assert len(words) == len(fields(ModelConfig)) + len(fields(TrainConfig)) - 2
    assert configured(words, *first) == first
    assert configured(["precision=bf16-mixed"], *first)[1].precision == "bf16-mixed"
