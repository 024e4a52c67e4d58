"""torch.compile: fused kernels and fewer launches, paid for by compiling in the first steps.

Modes (torch's own names): `default`, `reduce-overhead` (CUDA graphs), `max-autotune` (CUDA graphs,
and kernels chosen by timing), `max-autotune-no-cudagraphs`. `compile` and `compile=default` are the
same.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import Any

from perfkit.variants._contract import DeviceInfo, Unsupported
from perfkit.variants._values import one_of

STAGE = "compile"
VALUE = "[MODE]"
DEFAULT = "default"
MODES = (DEFAULT, "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
MIN_CAPABILITY = (7, 0)
"""Volta, the oldest that Triton compiles for (its README, Compatibility)."""


def normalise(value: str | None) -> str | None:
    if value is None or one_of("compile", value, MODES) == DEFAULT:
        return None
    return value


def supported(device: DeviceInfo) -> Unsupported | None:
    if device.type == "mps":
        return Unsupported("torch.compile on mps is a prototype; perfkit does not measure it")
    if sys.platform == "win32":
        return Unsupported(
            "torch.compile on Windows needs a set-up of its own; perfkit leaves it out"
        )
    missing = _cuda_needs(device) if device.type == "cuda" else _cpu_needs()
    missing = missing or _headers_needed()
    return None if missing is None else Unsupported(f"torch.compile {missing}")


def apply(training: Any, value: str | None) -> None:
    import torch

    training.step_model = torch.compile(training.model, mode=value or DEFAULT)


def read_back(training: Any) -> dict[str, str]:
    """Return the mode whose options the compiled model carries, `off` when it is not compiled."""
    import torch

    wrapper = getattr(getattr(torch, "_dynamo", None), "OptimizedModule", None)
    if wrapper is None or not isinstance(training.step_model, wrapper):
        return {"compile": "off"}
    return {"compile": _mode(training.step_model)}


def _cuda_needs(device: DeviceInfo) -> str | None:
    if device.capability is not None and device.capability < MIN_CAPABILITY:
        major, minor = device.capability
        return f"needs CUDA capability 7.0; {device.name} has {major}.{minor}"
    if importlib.util.find_spec("triton") is None:
        return "needs the triton package, which is not installed"
    # the launchers of Triton's kernels are C (triton/runtime/build.py)
    if not any(map(shutil.which, (os.environ.get("CC") or "gcc", "clang"))):
        return "needs a C compiler for its kernels' launchers: neither gcc nor clang is here"
    return None


def _cpu_needs() -> str | None:
    # Inductor tries this one name (torch/_inductor/config.py, cpp.cxx)
    name = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if shutil.which(name) is None:
        return f"needs a C++ compiler on a CPU: {name} is not here (CXX can name another)"
    return None


def _headers_needed() -> str | None:
    folders = {sysconfig.get_path("include"), sysconfig.get_config_var("INCLUDEPY")}
    if any((Path(folder) / "Python.h").exists() for folder in folders if folder):
        return None
    return "needs Python's headers (Python.h): install python3-dev or its like"


def _mode(compiled: Any) -> str:
    """Tell a mode by its options, which torch keeps; `unknown` where it does not."""
    try:
        from torch._inductor import list_mode_options

        config = compiled.get_compiler_config()
        options = {mode: list_mode_options(mode) for mode in MODES}
        told_by = sorted({name for chosen in options.values() for name in chosen})
        in_force = {name: config[name] for name in told_by}
        off = dict.fromkeys(told_by, False)
        return next((m for m in MODES if {**off, **options[m]} == in_force), "unknown")
    except (ImportError, AttributeError, KeyError, TypeError):
        return "unknown"
