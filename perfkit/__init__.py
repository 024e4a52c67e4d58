"""perfkit: why a PyTorch training is slow, what would make it faster, by how much, and how sure.

for batch in perfkit.watch(loader): ...     records a training, and says what holds it back
with perfkit.phase("augment"): ...          names a part of it
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from perfkit.training.attach.api import phase, watch

__version__ = "0.1.0"
__all__ = ["__version__", "phase", "watch"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module("perfkit.training.attach.api"), name)
    globals()[name] = found
    return found
