"""The pages that a reader of the repository meets, taken apart: blocks, commands, links, names of files."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
README, CONTRIBUTING, METHOD = "README.md", "CONTRIBUTING.md", "docs/method.md"
PAGES = (README, CONTRIBUTING, METHOD)
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SEPARATORS = {"|", "||", "&&", ";"}


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    label: str
    text: str


def text_of(page: str) -> str:
    """Return a page as it is."""
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str, label: str | None = None) -> list[Block]:
    """Return the fenced blocks of a page, or those of one label."""
    found = [Block(*parts) for parts in _BLOCK.findall(text_of(page))]
    return [block for block in found if label in (None, block.label)]


def commands(page: str) -> list[list[str]]:
    """Return the words of every command of a page.

    Commands are the lines of `sh` blocks, and those lines of `text` blocks that begin with a prompt, `$ `.
    """
    found = [words for block in blocks(page, "sh") for words in _words(block.text)]
    for block in blocks(page, "text"):
        typed = re.findall(r"^\$ ((?:.*\\\n)*.*)$", block.text, re.MULTILINE)
        found += [words for text in typed for words in _words(text)]
    return found


def table(page: str, heading: str) -> list[list[str]]:
    """Return the rows of the first table below a line of a page, cell by cell, without its head."""
    below = text_of(page).split(f"\n{heading}", 1)[1]
    lines = below[below.index("\n|") + 1 :].split("\n\n", 1)[0].splitlines()
    return [[c.strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


def links(page: str) -> list[str]:
    """Return where a page's links and pictures lead to, those to other sites left out."""
    prose = _BLOCK.sub("", text_of(page))
    found = re.findall(r"\]\(([^)\s]+)\)", prose)
    return [target for target in found if "://" not in target]


def anchors(page: str) -> list[str]:
    """Return what links to a page's headings end in, as GitHub makes it of them."""
    headings = re.findall(r"^#+ (.*)$", _BLOCK.sub("", text_of(page)), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


def files_named(page: str) -> list[str]:
    """Return the files and folders that a page names in its prose, as code."""
    prose = _BLOCK.sub("", text_of(page))
    named = re.findall(r"`([\w.-]+(?:/[\w.-]*)+)`", prose)
    return [name for name in named if name.endswith("/") or Path(name).suffix]


def _words(text: str) -> Iterator[list[str]]:
    """Each command's own words; a line may hold several."""
    for line in text.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        command: list[str] = []
        for word in [*lexer, ";"]:
            if word in _SEPARATORS:
                if command:
                    yield command
                command = []
            else:
                command.append(word)
