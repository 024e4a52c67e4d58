"""What every Python process below `perfkit run` does first: nothing, until it imports torch.

Its folder is the first in PYTHONPATH, so `site` finds this file. It gives way to the sitecustomize that
would have been found without it, takes its folder out of `sys.path`, and waits for torch. A Python
too old for perfkit goes on as if it had not.
"""

from __future__ import annotations

import os
import sys
import time
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:  # at run time typing would cost more than all the rest
    from collections.abc import Callable
    from typing import Any

HOME = "PERFKIT_HOME"
STUDY = "PERFKIT_STUDY"
REACHED = "reached"
"""File of the study: a process below the command has imported torch, with the hooks in it."""
_FOLDER = os.path.dirname(os.path.abspath(__file__))
_BYSTANDERS = (
    "torch/_inductor/compile_worker",
    "torch._inductor.compile_worker",
    "multiprocessing.resource_tracker",
)
"""Helpers of torch and of multiprocessing: they may import torch, and never train."""


class _Perfkit:
    """Finds perfkit, and nothing else, where nobody else finds it."""

    def __init__(self, home: str) -> None:
        self._home = home

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name != "perfkit":
            return None
        from importlib.machinery import PathFinder

        return PathFinder.find_spec(name, [self._home])


class _Torch:
    """Runs `then` once torch has been imported, and is gone by then.

    It stays where torch is only looked for: libraries ask whether there is one before anybody imports it.
    """

    def __init__(self, then: Callable[[], None]) -> None:
        self._then = then
        self._looking: set[int] = set()

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        thread = get_ident()
        if name != "torch" or thread in self._looking:
            return None
        self._looking.add(thread)
        try:
            spec = self._of_others(name, path, target)
        finally:
            self._looking.discard(thread)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader, self)
        return spec

    def _of_others(self, name: str, path: Any, target: Any) -> Any:
        for finder in list(sys.meta_path):
            find = getattr(finder, "find_spec", None)
            spec = None if find is None else find(name, path, target)
            if spec is not None:
                return spec
        return None

    def load(self, run: Callable[[], None]) -> None:
        """Torch is imported: by `run`."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        try:
            run()
        except BaseException:
            sys.meta_path.insert(0, self)
            raise
        self._then()


class _Loader:
    """The loader of torch, which is put back before it runs."""

    def __init__(self, loader: Any, waiting: _Torch) -> None:
        self._loader = loader
        self._waiting = waiting

    def create_module(self, spec: Any) -> Any:
        return self._loader.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__spec__.loader = module.__loader__ = self._loader
        self._waiting.load(lambda: self._loader.exec_module(module))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


def _say(error: Exception) -> None:
    import contextlib

    why = str(error).split("\n")[0]
    with contextlib.suppress(Exception):
        sys.stderr.write(
            f"perfkit: nothing is recorded in process {os.getpid()}: {type(error).__name__}: {why}\n"
        )


def _attach(started_ns: int, home: str, study: str) -> None:
    try:
        import contextlib
        from pathlib import Path

        from perfkit.training.attach import hooks

        hooks.install(home, lambda: Path(study), started_ns)
        # so that the parent can tell a command that trains nothing from one that it does not reach
        with contextlib.suppress(OSError):
            Path(study, REACHED).touch()
    except Exception as error:
        _say(error)


def _wait_for_torch() -> None:
    home, study = os.environ.get(HOME), os.environ.get(STUDY)
    command = getattr(sys, "orig_argv", ())
    if not home or not study or sys.version_info < (3, 10):
        return
    if any(name in word for word in command for name in _BYSTANDERS):
        return
    started_ns = time.perf_counter_ns()
    sys.meta_path.append(_Perfkit(home))
    if "torch" in sys.modules:
        _attach(started_ns, home, study)
    else:
        sys.meta_path.insert(0, _Torch(lambda: _attach(started_ns, home, study)))


def _give_way() -> None:
    """Leave `sys.path`, so that what we stand in front of is found again."""
    here = [entry for entry in sys.path if os.path.abspath(entry) == _FOLDER]
    for entry in here[:1]:
        sys.path.remove(entry)
        sys.path_importer_cache.pop(entry, None)
    sys.modules.pop("sitecustomize", None)


try:
    _wait_for_torch()
except Exception as error:
    _say(error)
_give_way()
# the next one; mostly there is none, and site knows what to do
import sitecustomize  # type: ignore[import-not-found] # noqa: E402, F401
