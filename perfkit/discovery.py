"""Finding workloads, variants, rules and remedies by the name of their file.

A kind of plug-in is a folder of ours with one file per plug-in; files that begin with an underscore
are not plug-ins. It has the kind's name and lies in the room whose affair it is. `PERFKIT_PATH` (folders
separated like PATH) adds a stranger's own: a file `FOLDER/variants/fast.py` is the variant `fast`. So do
installed packages by entry points: `fast = "their.module"` in the group `perfkit.variants`. Listing names
imports nothing.

A workload may also be named by where its factory is: `timm:NAME`, `path/to/file.py:factory` or
`package.module:factory`.

A stranger's file is imported as a module below this one, under a name that holds its path: `pickle` names
classes and functions by their module, and so a loader worker that is not forked (`spawn`, `forkserver`)
finds what it is sent by importing this file, whatever the stranger's is called and whatever else is.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from importlib.machinery import ModuleSpec
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from perfkit.errors import UsageError

T = TypeVar("T")
_PACKAGE = Path(__file__).parent
WORKLOAD_FORMS = (
    "a workload is a name, timm:NAME, path/to/file.py:FACTORY or package.module:FACTORY"
)
_MARK = "__at__"
"""Between a file's name and its path in hexadecimal digits, in the name of a stranger's module."""
__path__: list[str] = []
"""Makes this module a package to the import system, which then looks for modules below it."""
_ONE = {"variants": "variant", "workloads": "workload", "rules": "rule", "remedies": "remedy"}


def names(kind: str) -> tuple[str, ...]:
    """Return the names of every plug-in of a kind (`variants`, `workloads`, `rules`, `remedies`), sorted."""
    return tuple(sorted(_sources(kind)))


def load(kind: str, name: str) -> ModuleType:
    """Import the plug-in `name` of a kind.

    Raises:
        UsageError: there is none of that name; the hint names the nearest, or all.
    """
    sources = _sources(kind)
    if name not in sources:
        raise unknown(_ONE[kind], name, tuple(sources))
    source = sources[name]
    if isinstance(source, EntryPoint):
        return _imported(source.module, f"{source.module}, which {_ONE[kind]} {name} is,")
    if source.is_relative_to(_PACKAGE):
        return _ours(kind, name)
    return _import_file(source)


def ask(kind: str, name: str, call: str, *given: object, answer: type[T], kept: str) -> T | None:
    """Call the function of a plug-in that answers with a value of a type, or with None.

    Args:
        call: the function and what it is given, `check(evidence)`.
        kept: what is not lost where it fails, for the hint.

    Raises:
        UsageError: it has no such function, which failed or answered with something else.
    """
    plugin, what, function = load(kind, name), f"{_ONE[kind]} {name}", call.partition("(")[0]
    asked = getattr(plugin, function, None)
    if asked is None:
        raise UsageError(f"{what}: {plugin.__file__} has no function {call}")
    try:
        found = asked(*given)
    except Exception as error:
        problem = f"{what} failed: {type(error).__name__}: {error}"
        raise UsageError(problem, hint=f"mend {plugin.__file__}; {kept}") from error
    if found is not None and not isinstance(found, answer):
        wanted = f"{function}() should return a {answer.__name__} or None"
        raise UsageError(f"{what}: {wanted}, not {found!r}")
    return found


def check_workload(arch: str) -> None:
    """Refuse a workload that is certainly not there, without importing anything.

    Raises:
        UsageError: there is no such name or file, or no factory is named.
    """
    where, colon, factory = arch.rpartition(":")
    if not colon:
        known = names("workloads")
        if arch in known:
            return
        if arch.endswith(".py"):
            raise UsageError(f"{arch} names no factory", hint=f"write {arch}:factory")
        error = unknown("workload", arch, known)
        raise UsageError(error.message, hint=f"{error.hint}; {WORKLOAD_FORMS}")
    if not where or not factory:
        raise UsageError(f"{arch!r} is no workload", hint=WORKLOAD_FORMS)
    if where.endswith(".py") and not Path(where).expanduser().is_file():
        raise UsageError(f"there is no file {where}", hint=WORKLOAD_FORMS)


def load_workload(arch: str) -> tuple[ModuleType, str]:
    """Import the module of a workload; return it with the name of its factory.

    Raises:
        UsageError: it is not there or cannot be imported.
    """
    check_workload(arch)
    where, colon, factory = arch.rpartition(":")
    if not colon:
        return load("workloads", arch), "factory"
    if where == "timm":
        return _ours("workloads", "_timm"), "factory"
    if where.endswith(".py"):
        path = Path(where).expanduser().resolve()
        # as for `python file.py`: what lies beside the file can be imported by it
        if str(path.parent) not in sys.path:
            sys.path.insert(1, str(path.parent))
        return _import_file(path), factory
    return _imported(where, where, hint=WORKLOAD_FORMS), factory


def _ours(kind: str, name: str) -> ModuleType:
    folder = ".".join(_folder(kind).relative_to(_PACKAGE).parts)
    return importlib.import_module(f"perfkit.{folder}.{name}")


def _import_file(path: Path) -> ModuleType:
    return _imported(module_name(path), str(path))


def _imported(module: str, what: str, *, hint: str | None = None) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:
        problem = f"{what} cannot be imported: {type(error).__name__}: {error}"
        raise UsageError(problem, hint=hint) from error


def module_name(path: Path) -> str:
    """Return the name under which a stranger's file is a module, in this process and any other."""
    # a dot would name a package
    stem = path.stem.replace(".", "_")
    return f"{__name__}.{stem}{_MARK}{os.fsencode(path).hex()}"


class _Finder:
    """Finds the file that such a name holds, for the import system."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        parent, _, last = name.rpartition(".")
        mark = last.rfind(_MARK)
        if parent != __name__ or mark < 0:
            return None
        file = os.fsdecode(bytes.fromhex(last[mark + len(_MARK) :]))
        return importlib.util.spec_from_file_location(name, file)


sys.meta_path.append(_Finder)


def unknown(what: str, name: str, known: tuple[str, ...]) -> UsageError:
    """Return the error for a name that is not one of `known`, with the nearest ones as a hint."""
    near = get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"one of: {', '.join(sorted(known))}"
    return UsageError(f"unknown {what} {name!r}", hint=hint)


def _sources(kind: str) -> dict[str, Path | EntryPoint]:
    found: dict[str, Path | EntryPoint] = {}
    folders = [_folder(kind), *_own_folders(kind)]
    files = [path for folder in folders for path in sorted(folder.glob("*.py"))]
    named: list[tuple[str, Path | EntryPoint]] = [
        *((path.stem, path) for path in files if not path.stem.startswith("_")),
        *((entry.name, entry) for entry in _installed(kind)),
    ]
    for name, source in named:
        if name in found:
            raise UsageError(
                f"two files define the {_ONE[kind]} {name!r}: {_where(found[name])} and {_where(source)}",
                hint="rename the one in your PERFKIT_PATH"
                if isinstance(source, Path)
                else f"uninstall {_distribution(source)}, or rename the other",
            )
        found[name] = source
    return found


@cache
def _folder(kind: str) -> Path:
    """The package of ours that has the name of the kind, in whichever room it lies."""
    (found,) = (path.parent for path in _PACKAGE.glob(f"**/{kind}/__init__.py"))
    return found


@cache
def _installed(kind: str) -> tuple[EntryPoint, ...]:
    """What installed packages declare in the entry-point group of the kind."""
    return tuple(entry_points(group=f"perfkit.{kind}"))


def _where(source: Path | EntryPoint) -> str:
    return (
        str(source) if isinstance(source, Path) else f"{source.module} of {_distribution(source)}"
    )


def _distribution(entry: EntryPoint) -> str:
    return "an installed package" if entry.dist is None else str(entry.dist.name)


def _own_folders(kind: str) -> list[Path]:
    raw = os.environ.get("PERFKIT_PATH", "")
    roots = [Path(part).expanduser().resolve() for part in raw.split(os.pathsep) if part]
    for root in roots:
        if not root.is_dir():
            raise UsageError(f"PERFKIT_PATH names {root}, which is not a folder")
    return [root / kind for root in roots]
