"""perfkit: why a PyTorch training is slow, what would make it faster, by how much, and how sure.

for batch in perfkit.watch(loader): ...     records a training, and says what holds it back
with perfkit.phase("augment"): ...          names a part of it
perfkit.read("latest").frame()              what a run measured, as a pandas data frame
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perfkit.cli.stored import find as read
    from perfkit.training.attach.api import phase, watch

__version__ = "0.1.0"
__all__ = ["__version__", "phase", "read", "watch"]

_FOUND_IN = {
    "phase": ("perfkit.training.attach.api", "phase"),
    "read": ("perfkit.cli.stored", "find"),
    "watch": ("perfkit.training.attach.api", "watch"),
}
"""Imported when they are asked for: reading a run loads no torch, and watching one no report."""


def __getattr__(name: str) -> Any:
    if name not in _FOUND_IN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _FOUND_IN[name]
    found = getattr(import_module(module), attribute)
    globals()[name] = found
    return found
