"""The pages: their examples run, their commands parse, their links and names lead somewhere."""

import importlib
import pkgutil
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

import workbench as wb
from tests.support.command_line import parse
from workbench.cli.app import app

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md"))]
ALL_PAGES = [
    *PAGES,
    *sorted(ROOT.glob("C*.md")),
    *sorted((ROOT / "notebooks").glob("*.md")),
    *sorted((ROOT / "data").rglob("*.md")),
]
CURRENT = [page for page in ALL_PAGES if page.name != "CHANGELOG.md"]  # it tells old names, too
SOURCES = [
    path
    for folder in ("workbench", "tests", "benchmarks", "data", "notebooks", "docs")
    for ending in ("py", "pyi", "ipynb", "md")
    for path in (ROOT / folder).rglob(f"*.{ending}")
    if "node_modules" not in path.parts and ".ipynb_checkpoints" not in path.parts
]

MOST_LINES, MOST_CHARACTERS, MOST_ROWS = 120, 120, 12

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
REASON = re.compile(r"<!-- not executed: (\S.*?) -->\n\Z")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"(?<![\w/.-])((?:[\w-]+/)+[\w-]+\.(?:py|pyi|md|sh|ipynb|png|webp|extxyz))\b")
DOTTED = re.compile(r"(?<![\w./])workbench(?:\.[a-z_]\w*)+(?:\.[A-Z]\w*)?")
COMMAND = re.compile(r"(?:^|\s)-m workbench\b(.*)")
NUMBER = re.compile(r"[\d,]+(?:\.\d+)?")
CARD_ERROR = re.compile(
    r"^\| matrix, MAE over all elements, 1e-6 Hartree \| (\S+) \| (\S+) \|", re.M
)
CARD_LEVELS = re.compile(
    r"^\| (?:occupied levels|bands within 2 eV of the Fermi level), MAE, meV \| \S+ \| (\S+) \|",
    re.M,
)
CARD_ALIGNED = re.compile(
    r"^\| the same(?: without the shift|, each aligned at its own Fermi level), meV "
    r"\| \S+ \| (\S+) \|",
    re.M,
)
CARD_SHIFT = re.compile(r"^\| this shift, mean modulus, meV \| \S+ \| (\S+) \|", re.M)
CARD_COUNT = re.compile(r"^(\d+) structures? of the split `test`", re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: its language, its text, its line, and why it is not executed."""

    language: str
    text: str
    line: int
    reason: str | None


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(page: Path) -> list[Block]:
    text, result = page.read_text(), []
    for match in FENCE.finditer(text):
        before = text[: match.start()]
        reason = REASON.search(before)
        line = before.count("\n") + 2
        result.append(Block(match[1], match[2], line, reason[1] if reason else None))
    return result


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return FENCE.sub("", page.read_text())


def tables(page: Path) -> list[list[list[str]]]:
    """The cells of each table's rows, header and rule left out."""
    result: list[list[list[str]]] = [[]]
    for line in prose(page).splitlines():
        if line.startswith("|"):
            result[-1].append([cell.strip() for cell in line.strip("|").split("|")])
        elif result[-1]:
            result.append([])
    return [rows[2:] for rows in result if rows]


# ---- examples -----------------------------------------------------------------------------------

EXECUTED = [page for page in PAGES if any(b.language == "python" for b in blocks(page))]


@pytest.mark.parametrize("page", EXECUTED, ids=name_of)
def test_python_examples_run(page, tmp_path, monkeypatch, raise_errors):
    """The blocks of a page share one namespace, and a reader may paste them in turn."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, object] = {}
    for block in blocks(page):
        if block.language == "python" and block.reason is None:
            source = "\n" * (block.line - 1) + block.text  # line numbers are those of the page
            exec(compile(source, str(page), "exec"), namespace)


def test_a_block_that_is_not_executed_says_why():
    comments = sum(page.read_text().count("<!-- not executed") for page in PAGES)
    reasons = [b for page in PAGES for b in blocks(page) if b.reason is not None]
    assert comments == len(reasons)  # each stands right before a block, with a reason
    assert all(block.language == "python" for block in reasons)


# ---- commands -----------------------------------------------------------------------------------


def commands_of(text: str) -> list[list[str]]:
    lines = text.replace("\\\n", " ").splitlines()
    arguments = [match[1] for line in lines if (match := COMMAND.search(line))]
    return [shlex.split(words, comments=True) for words in arguments]


SHELL = [
    pytest.param(words, id=f"{name_of(page)}: {' '.join(words)[:60]}")
    for page in PAGES
    for block in blocks(page)
    if block.language == "sh"
    for words in commands_of(block.text)
]
INLINE = [
    pytest.param(words, id=f"{name_of(page)}: {' '.join(words)[:60]}")
    for page in CURRENT
    for code in CODE.findall(prose(page))
    for words in commands_of(code)
    if words and "COMMAND" not in words
]


@pytest.mark.parametrize("words", SHELL)
def test_a_command_line_parses(words):
    parse(words)


@pytest.mark.parametrize("words", INLINE)
def test_a_command_in_the_text_has_the_options_it_names(words):
    complaint = None
    try:
        parse(words)
    except Exception as error:
        complaint = type(error).__name__
    assert complaint in (None, "MissingParameter")  # a text may leave out arguments


def test_every_command_has_its_line_in_the_reference():
    reference = (ROOT / "docs" / "reference" / "commands.md").read_text()

    def leaves(command, name):
        children = getattr(command, "commands", None)
        if children is None:
            return [name]
        return [leaf for key, child in children.items() for leaf in leaves(child, f"{name} {key}")]

    names = [name.strip() for name in leaves(typer.main.get_command(app), "")]
    assert [name for name in names if f"`{name}`" not in reference] == []


# ---- the front page -----------------------------------------------------------------------------


def test_the_front_page_is_short():
    lines = README.read_text().splitlines()
    assert len(lines) <= MOST_LINES
    assert [line for line in lines if len(line) > MOST_CHARACTERS] == []


def test_the_results_are_one_table_with_one_number_a_cell():
    [rows] = tables(README)
    assert len(rows) <= MOST_ROWS
    assert [cell for row in rows for cell in row[1:] if not NUMBER.fullmatch(cell)] == []


def test_the_results_are_those_of_the_cards():
    [rows] = tables(README)
    models = {path.stem for path in (ROOT / "data" / "checkpoints").glob("*.md")}
    assert {row[0].split("`")[1] for row in rows} == models
    for row in rows:
        name = row[0].split("`")[1]
        card = (ROOT / "data" / "checkpoints" / f"{name}.md").read_text()
        [count, *_], [errors, *_] = CARD_COUNT.findall(card), CARD_ERROR.findall(card)
        levels = [form.findall(card)[0] for form in (CARD_LEVELS, CARD_ALIGNED, CARD_SHIFT)]
        assert row[2:8] == [count, *errors, *levels], name


# ---- links and names ----------------------------------------------------------------------------


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(match[1]) for match in re.finditer(r"^#+ (.+)$", prose(page), re.MULTILINE)}


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_relative_links_lead_somewhere(page):
    for link in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


def test_every_page_is_in_the_index():
    index = ROOT / "docs" / "README.md"
    linked = {
        (index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(prose(index))
    }
    assert {page for page in PAGES if page not in (README, index)} <= linked


@pytest.mark.parametrize("page", CURRENT, ids=name_of)
def test_named_files_and_modules_exist(page):
    """Paths count from the root, from `workbench/`, or from the page; modules can be imported."""
    for code in CODE.findall(prose(page)):
        for path in PATH.findall(code):
            places = (ROOT, ROOT / "workbench", page.parent)
            capitals = any(part.isupper() for part in re.split(r"[/.]", path))  # NAME, FOLDER
            own = path.startswith(("runs/", ".venv/", "molecule"))
            assert capitals or own or any((place / path).exists() for place in places), path
        for name in DOTTED.findall(code):
            pkgutil.resolve_name(name)


def test_mentioned_documents_exist():
    """In comments, cards and notebooks, too."""
    pattern = re.compile(r"(?<![\w/])docs/[\w/-]+\.(?:md|png|webp)")
    mentions = {
        (name_of(path), name) for path in SOURCES for name in pattern.findall(path.read_text())
    }
    assert sorted((path, name) for path, name in mentions if not (ROOT / name).exists()) == []


def test_every_public_name_has_its_line():
    reference = (ROOT / "docs" / "reference" / "python.md").read_text()
    assert [name for name in wb.__all__ if f"| `{name}` |" not in reference] == []


def test_every_package_is_on_the_map():
    packages = {p.name for p in pkgutil.iter_modules(importlib.import_module("workbench").__path__)}
    contributing = (ROOT / "CONTRIBUTING.md").read_text()
    assert [name for name in packages - {"__main__"} if f"| `{name}` |" not in contributing] == []
