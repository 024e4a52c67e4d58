"""The device and the machine: what a variant may ask of them, and what a Document says of them."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path
from typing import Any

import torch

import perfkit
from perfkit import limits
from perfkit.errors import UsageError
from perfkit.variants import DeviceInfo
from perfkit.variants._autocast import cpu_bf16_native
from perfkit.variants._fp32 import effective_precision

__all__ = ["device_info", "effective_precision", "environment", "make_current", "synchronize"]

MIN_BF16_CAPABILITY = (8, 0)
"""Ampere, the first NVIDIA architecture with bfloat16 units; older ones emulate it."""
VARIABLES = (
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "OMP_PROC_BIND",
    "OMP_PLACES",
    "GOMP_SPINCOUNT",
    "KMP_AFFINITY",
    "KMP_BLOCKTIME",
    "MKL_NUM_THREADS",
    "MALLOC_ARENA_MAX",
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_MMAP_THRESHOLD_",
    "GLIBC_TUNABLES",
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "PYTORCH_ALLOC_CONF",
    "PYTORCH_CUDA_ALLOC_CONF",
    "CUDA_LAUNCH_BLOCKING",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
)
"""Environment variables that change how fast a training runs."""


def device_info(device: str) -> DeviceInfo:
    """Look a device up, e.g. `cpu`, `cuda`, `cuda:1`, `mps`.

    Raises:
        UsageError: torch does not know it, perfkit does not measure it, or it is not here.
    """
    found = _existing(device)
    if found.type == "cuda":
        properties = torch.cuda.get_device_properties(found)
        # a ROCm build calls its devices cuda too; its numbers are not CUDA capabilities
        amd = torch.version.hip is not None
        capability = (properties.major, properties.minor)
        return DeviceInfo(
            type="cuda",
            name=properties.name,
            capability=None if amd else capability,
            bf16_native=amd or capability >= MIN_BF16_CAPABILITY,
            count=torch.cuda.device_count(),
        )
    if found.type == "mps":
        newer = torch.backends.mps.is_macos_or_newer(14, 0)
        return DeviceInfo(type="mps", name="Apple GPU", bf16_native=newer)
    name = _cpu_model() or platform.machine()
    return DeviceInfo(type="cpu", name=name, bf16_native=cpu_bf16_native())


def make_current(device: torch.device | str) -> None:
    """Make a GPU this process's current one: `cuda` without a number, and what libraries take, is there."""
    found = torch.device(device)
    if found.type == "cuda" and found.index is not None:
        torch.cuda.set_device(found)


def synchronize(device: torch.device | str) -> None:
    """Wait until the device has done all it was given; on a CPU it always has."""
    kind = torch.device(device).type
    if kind == "cuda":
        torch.cuda.synchronize(device)
    elif kind == "mps":
        torch.mps.synchronize()


def environment(device: str) -> dict[str, Any]:
    """Describe software and hardware in JSON types: no host name, no path, nothing that varies.

    `num_threads` are those that torch computes with in this process: its default, where nobody has set it.

    A null value has its reason in the dict's own `unavailable`.

    Raises:
        UsageError: as `device_info`.
    """
    info = device_info(device)
    unavailable: dict[str, str] = {}
    found = {
        "perfkit": perfkit.__version__,
        "python": platform.python_version(),
        "os": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu_model": _cpu_model(),
        "cores_usable": limits.usable_cores(),
        "cores_total": os.cpu_count(),
        "num_threads": torch.get_num_threads(),
        "memory_bytes": limits.usable_memory_bytes(),
        "torch": str(torch.__version__),
        "torch_cuda": torch.version.cuda,
        "torch_hip": torch.version.hip,
        "cudnn": _cudnn_version(),
        "device": device,
        "device_type": info.type,
        "device_name": info.name,
        "device_count": info.count,
        "bf16_native": info.bf16_native,
        "device_capability": None if info.capability is None else list(info.capability),
        "device_memory_bytes": None,
        "device_uuid": None,
        "driver": None,
        "variables": _variables(),
    }
    if info.type == "cuda":
        properties = torch.cuda.get_device_properties(torch.device(device))
        uuid = getattr(properties, "uuid", None)
        found["device_memory_bytes"] = properties.total_memory
        found["device_uuid"] = None if uuid is None else str(uuid)
        found["driver"] = _driver_version()
    for name, value in found.items():
        if value is None:
            unavailable[name] = _why_missing(name, info.type)
    return {**found, "unavailable": unavailable}


def _existing(device: str) -> torch.device:
    """Return the device; a `cuda` without an index is the current one."""
    try:
        found = torch.device(device)
    except RuntimeError as error:
        raise UsageError(
            f"--device {device}: torch knows no such device", hint=_choices()
        ) from error
    if found.type not in ("cpu", "cuda", "mps"):
        raise UsageError(
            f"--device {device}: perfkit does not measure {found.type}", hint=_choices()
        )
    if found.type == "cuda":
        return _existing_gpu(device, found)
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise UsageError(f"--device {device}: there is no Apple GPU here", hint=_choices())
    if found.index not in (None, 0):
        raise UsageError(f"--device {device}: there is only one {found.type}", hint=_choices())
    return found


def _existing_gpu(device: str, found: torch.device) -> torch.device:
    if torch.version.cuda is None and torch.version.hip is None:
        message = f"--device {device}: this torch ({torch.__version__}) was built without CUDA"
        raise UsageError(message, hint="install a CUDA build of torch, or --device cpu")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count == 0:
        raise UsageError(f"--device {device}: torch sees no GPU here", hint=_choices())
    index = torch.cuda.current_device() if found.index is None else found.index
    if index >= count:
        has = "one GPU" if count == 1 else f"{count} GPUs"
        raise UsageError(f"--device {device}: this machine has {has}", hint=_choices())
    return torch.device("cuda", index)


def _choices() -> str:
    """Name the devices of this machine."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = ["cpu", *(f"cuda:{i}" for i in range(gpus))]
    if torch.backends.mps.is_available():
        names.append("mps")
    return "this machine has " + ", ".join(f"--device {name}" for name in names)


def _why_missing(name: str, device_type: str) -> str:
    if name in ("torch_cuda", "torch_hip", "cudnn"):
        return "not_supported"
    if name.startswith("device_") or name == "driver":
        return "no_data" if device_type == "cuda" else "not_supported"
    return "no_data"


def _variables() -> dict[str, str]:
    found = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    preloaded = re.split(r"[ :]+", os.environ.get("LD_PRELOAD", "").strip())
    if any(preloaded):  # an allocator, often; its name matters and its path does not
        found["LD_PRELOAD"] = " ".join(Path(library).name for library in preloaded if library)
    return found


def _cpu_model() -> str | None:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or None
    match = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return match.group(1).strip() if match else None


def _cudnn_version() -> int | None:
    try:
        version: int | None = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        return version
    except RuntimeError:  # a cuDNN that does not fit this torch
        return None


def _driver_version() -> str | None:
    """Read the NVIDIA kernel module's version, e.g. `550.54.15`."""
    try:
        text = Path("/proc/driver/nvidia/version").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    match = re.search(r"Kernel Module(?: for \S+)?\s+(\d+(?:\.\d+)+)", text)
    return match.group(1) if match else None
