"""Help pages with examples; those of a command stand at the end of its docstring.

A docstring's section ``Examples:`` has command lines, one a line, that the page shows as they are.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperCommand, TyperGroup

__all__ = ["Command", "Group", "TrainingCommand"]

_SECTION = "Examples:\n"


class _Examples:
    """A command or a group whose page ends with the examples of its docstring.

    Attributes:
        examples: command lines that run, without the indentation.
    """

    def __init__(self, *args: Any, help: str | None = None, **settings: Any) -> None:  # noqa: A002
        text, _, examples = (help or "").partition(_SECTION)
        self.examples = [line.strip() for line in examples.splitlines() if line.strip()]
        super().__init__(*args, **settings | {"help": text.rstrip()})

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page."""
        super().format_help(ctx, formatter)  # type: ignore[misc]
        formatter.write("\nExamples:\n" + "".join(f"  {line}\n" for line in self.examples))


class Command(_Examples, TyperCommand):
    """A command with examples."""


class Group(_Examples, TyperGroup):
    """Commands with one name in front of theirs, and examples."""


class TrainingCommand(Command):
    """A command with examples that also lists what ``--set`` can set."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the page."""
        from workbench.cli.settings_table import settings_table

        super().format_help(ctx, formatter)
        formatter.write(f"\n{settings_table()}\n")
