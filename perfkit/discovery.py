"""Finding workloads, variants, rules and remedies by the name of their file.

A kind of plug-in is a folder of ours with one file per plug-in; files that begin with an underscore
are not plug-ins. `PERFKIT_PATH` (folders separated like PATH) adds a stranger's own: a file
`FOLDER/variants/fast.py` is the variant `fast`. Listing names imports nothing.

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
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

from perfkit.errors import UsageError

_PACKAGE = Path(__file__).parent
WORKLOAD_FORMS = (
    "a workload is a name, timm:NAME, path/to/file.py:FACTORY or package.module:FACTORY"
)
_MARK = "__at__"
"""Between a file's name and its path in hexadecimal digits, in the name of a stranger's module."""
__path__: list[str] = []
"""Makes this module a package to the import system, which then looks for modules below it."""
_FOLDERS = {
    "variants": "variants",
    "workloads": "training/workloads",
    "rules": "diagnosis/rules",
    "remedies": "diagnosis/remedies",
}
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
    path = sources[name]
    if path.is_relative_to(_PACKAGE):
        return importlib.import_module(f"perfkit.{_FOLDERS[kind].replace('/', '.')}.{name}")
    return _import_file(path)


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
        return importlib.import_module("perfkit.training.workloads._timm"), "factory"
    if where.endswith(".py"):
        path = Path(where).expanduser().resolve()
        # as for `python file.py`: what lies beside the file can be imported by it
        if str(path.parent) not in sys.path:
            sys.path.insert(1, str(path.parent))
        return _import_file(path), factory
    try:
        return importlib.import_module(where), factory
    except Exception as error:
        raise UsageError(
            f"{where} cannot be imported: {type(error).__name__}: {error}", hint=WORKLOAD_FORMS
        ) from error


def _import_file(path: Path) -> ModuleType:
    try:
        return importlib.import_module(module_name(path))
    except Exception as error:
        raise UsageError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error


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


def _sources(kind: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for folder in (_PACKAGE / _FOLDERS[kind], *_own_folders(kind)):
        for path in sorted(folder.glob("*.py")):
            if path.stem.startswith("_"):
                continue
            if path.stem in found:
                raise UsageError(
                    f"two files define the {_ONE[kind]} {path.stem!r}: {found[path.stem]} and {path}",
                    hint="rename the one in your PERFKIT_PATH",
                )
            found[path.stem] = path
    return found


def _own_folders(kind: str) -> list[Path]:
    raw = os.environ.get("PERFKIT_PATH", "")
    roots = [Path(part).expanduser().resolve() for part in raw.split(os.pathsep) if part]
    for root in roots:
        if not root.is_dir():
            raise UsageError(f"PERFKIT_PATH names {root}, which is not a folder")
    return [root / kind for root in roots]
