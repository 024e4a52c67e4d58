"""The codes of notes: whatever makes one takes its code from the list, and the list has no other."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import perfkit
from perfkit.comparison import DifferenceOf
from perfkit.notes import NOTES
from perfkit.study.attached.settings import SETTINGS

PACKAGE = Path(perfkit.__file__).parent
MADE = {
    ("study/differences.py", "f'other_{one.of}'"): {f"other_{of}" for of in get_args(DifferenceOf)},
    ("study/attached/notes.py", "str(fact['code'])"): set[str](),
    ("study/gate.py", "str(gate)"): set[str](),
}
"""By file and source, codes that are not written out: facts have theirs from `facts_told`, and a gate is its
own."""


def calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    """Calls of a function or a method by its name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == name:
            yield node


def texts(node: ast.AST) -> set[str]:
    """The texts that an expression is, or chooses from."""
    if isinstance(node, ast.IfExp):
        return texts(node.body) | texts(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def codes_in(source: str, file: str) -> set[str]:
    """The codes of the notes that a file makes; a copied note keeps its own.

    Raises:
        ValueError: a code is neither written out nor copied.
    """
    found = set()
    for call in calls(ast.parse(source), "Note"):
        (code,) = (keyword.value for keyword in call.keywords if keyword.arg == "code")
        written = MADE.get((file, ast.unparse(code)), texts(code))
        copied = isinstance(code, ast.Attribute) and code.attr == "code"
        if not written and not copied and (file, ast.unparse(code)) not in MADE:
            raise ValueError(f"{file}: what is {ast.unparse(code)}?")
        found |= written
    return found


def facts_told() -> set[str]:
    """The codes of what is seen from inside a training."""
    tree = ast.parse((PACKAGE / "training/attach/facts.py").read_text(encoding="utf-8"))
    chosen = {
        ast.unparse(target): texts(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
    }
    found = set[str]()
    for call in calls(tree, "_write"):
        code = call.args[1]
        told = texts(code) or chosen.get(ast.unparse(code), set())
        assert told, f"facts.py: what is {ast.unparse(code)}?"
        found |= told
    return found


def test_every_note_has_a_code_of_the_list() -> None:
    """And every code of the list is made somewhere."""
    made = facts_told() - set(SETTINGS)
    for path in PACKAGE.rglob("*.py"):
        made |= codes_in(path.read_text(encoding="utf-8"), path.relative_to(PACKAGE).as_posix())
    assert made == set(NOTES)


def test_an_unknown_code_is_found() -> None:
    """Written out, chosen, or hidden in a variable."""
    assert codes_in("Note(code='new', text='x')", "a.py") == {"new"}
    assert codes_in("document.Note(text='x', code='a' if b else 'c')", "a.py") == {"a", "c"}
    assert codes_in("Note(code=other.code, text='x')", "a.py") == set()
    with pytest.raises(ValueError, match="what is name"):
        codes_in("Note(code=name, text='x')", "a.py")


def test_what_a_code_means_is_a_sentence() -> None:
    """Codes are words joined by underscores."""
    for code, meaning in NOTES.items():
        assert code.replace("_", "").isalnum() and code == code.lower()
        assert (meaning[0].isupper() and meaning.endswith(".")) or meaning.startswith("torch")
