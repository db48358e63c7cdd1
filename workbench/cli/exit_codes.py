"""Exit codes of the command line, and the sentence that a person reads instead of a traceback."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ExitCode", "explain"]


class ExitCode(IntEnum):
    """What a command's exit code says; `docs/reference/commands.md` has the same table."""

    DONE = 0
    FAULT_FOUND = 1
    WRONG_INPUT = 2
    SYSTEM = 3
    PROGRAM_FAULT = 4
    INTERRUPTED = 130
    CLOSED_PIPE = 141


_FORESEEN = (ValueError, RuntimeError, ImportError)
_UNFORESEEN = (RecursionError, NotImplementedError)  # they are RuntimeErrors
_WRONG_PATH = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError)


def explain(error: Exception) -> tuple[ExitCode, str]:
    """The exit code and the sentence for an error.

    >>> from workbench.cli.exit_codes import explain
    >>> code, sentence = explain(ValueError("There is no split 'tset': choose train or test."))
    >>> int(code), sentence
    (2, "There is no split 'tset': choose train or test.")
    >>> code, sentence = explain(KeyError("x"))
    >>> int(code), sentence[:64]
    (4, "KeyError: 'x'. This is a fault of the program, not of your input")
    """
    if isinstance(error, BrokenPipeError):
        return ExitCode.CLOSED_PIPE, ""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # torch's
        return ExitCode.SYSTEM, _memory(error)
    if isinstance(error, OSError):
        code = ExitCode.WRONG_INPUT if isinstance(error, _WRONG_PATH) else ExitCode.SYSTEM
        return code, _refused(error)
    if isinstance(error, _FORESEEN) and not isinstance(error, _UNFORESEEN) and str(error).strip():
        return ExitCode.WRONG_INPUT, str(error)
    return ExitCode.PROGRAM_FAULT, (
        f"{type(error).__name__}: {_first_line(error)}. This is a fault of the program, not of "
        "your input: please report it with the traceback (`workbench --debug COMMAND ...`) and "
        "the output of `workbench doctor`."
    )


def _memory(error: Exception) -> str:
    """What to do when the memory is full."""
    return (
        f"The memory does not suffice ({_first_line(error)}): close other programs, or use a "
        "smaller structure, dataset, batch or model."
    )


def _refused(error: OSError) -> str:
    """An error of the system about a file; ours are sentences already."""
    if error.strerror is None:
        return str(error) or "The system refused a file."
    place = f"'{error.filename}': " if error.filename is not None else ""
    return (
        f"{place}{error.strerror.lower()}: check the path, its permissions and the space on "
        "the disk."
    )


def _first_line(error: Exception) -> str:
    """The first line of an error's message, or what stands for it."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else "no message"
