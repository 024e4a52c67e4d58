"""What this device can sustain, measured in place: a large matrix product, a memory copy.

Both fill the memory that is free for a moment and so change the allocator's peaks and cache: read
those first. Data are random, since zeros run faster (an H100's matrix product by 7 %). The best of
several groups is taken, each timed between two synchronisations: a ceiling is what the device
reaches when nothing else disturbs it. Settings in force (threads, TF32) apply.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, nn

from perfkit.training.probe.device import synchronize

BUDGET_S = 0.2
"""How long each probe repeats, its warm-up apart."""
MIN_GROUPS = 3
GROUP_S = 0.02
"""A group lasts at least this long, so that synchronising is a small part of it."""
GEMM_SIDES = {"cuda": 8192, "mps": 4096, "cpu": 1024}
"""Sides of the square matrices: past these the rate no longer grows."""
MIN_GEMM_SIDE = 512
COPY_BYTES = {"cuda": 2**30, "mps": 2**28, "cpu": 2**27}
"""Bytes of each of the two buffers, several times the last cache."""
MIN_COPY_BYTES = 2**24
FREE_SHARE = 0.25
"""At most this part of a GPU's free memory is taken."""


def dtype_of(model: nn.Module) -> torch.dtype:
    """Return what most of a model's floating-point weights are in; float32 where it has none."""
    sizes: Counter[torch.dtype] = Counter()
    for parameter in model.parameters():
        if parameter.is_floating_point():
            sizes[parameter.dtype] += parameter.numel()
    return sizes.most_common(1)[0][0] if sizes else torch.float32


def gemm_flops_per_sec(device: torch.device | str, dtype: torch.dtype) -> float | None:
    """Return the best sustained rate of a large square matrix product, in FLOP/s.

    None where the device has no such product (an FP16 product on some CPUs) or no room for it.
    """
    device = torch.device(device)
    item = torch.empty((), dtype=dtype).element_size()
    side = _fitting(GEMM_SIDES[device.type], MIN_GEMM_SIDE, device, lambda n: 3 * n * n * item)
    if side is None:
        return None
    return _or_none(lambda: _multiply(side, dtype, device), device)


def copy_bytes_per_sec(device: torch.device | str) -> float | None:
    """Return the best sustained rate of a copy within the device's memory, in bytes/s.

    Bytes read and bytes written both count. None where there is no room for it.
    """
    device = torch.device(device)
    size = _fitting(COPY_BYTES[device.type], MIN_COPY_BYTES, device, lambda n: 2 * n)
    if size is None:
        return None
    return _or_none(lambda: _copy(size, device), device)


def _multiply(side: int, dtype: torch.dtype, device: torch.device) -> float:
    a, b = (_random((side, side), dtype, device) for _ in range(2))
    out = torch.empty_like(a)
    return _best_rate(lambda: torch.mm(a, b, out=out), 2.0 * side**3, device)


def _copy(size: int, device: torch.device) -> float:
    source = _random((MIN_COPY_BYTES // 4,), torch.float32, device).repeat(size // MIN_COPY_BYTES)
    target = torch.zeros_like(source)
    return _best_rate(lambda: target.copy_(source), 2.0 * size, device)


def _or_none(measure: Callable[[], float], device: torch.device) -> float | None:
    """Measure, then give the memory back; None without a kernel, or when others took the memory."""
    try:
        with torch.no_grad():
            return measure()
    except RuntimeError:
        return None
    finally:
        if device.type == "cuda":
            torch.cuda.empty_cache()
        elif device.type == "mps":
            torch.mps.empty_cache()


def _best_rate(
    work: Callable[[], object],
    amount: float,
    device: torch.device,
    *,
    clock: Callable[[], float] = time.perf_counter,
    wait: Callable[[torch.device], None] = synchronize,
) -> float:
    """Repeat `work`, which does `amount` of something; return the best group's rate."""

    def timed(repeats: int) -> float:
        wait(device)
        start = clock()
        for _ in range(repeats):
            work()
        wait(device)
        return clock() - start

    timed(1)  # first touch, kernel choice
    once = max(timed(1), 1e-9)
    repeats = max(1, math.ceil(GROUP_S / once))
    best, spent, groups = math.inf, 0.0, 0
    while groups < MIN_GROUPS or spent < BUDGET_S:
        took = max(timed(repeats), 1e-9)
        best, spent, groups = min(best, took / repeats), spent + took, groups + 1
    return amount / best


def _fitting(
    wanted: int, least: int, device: torch.device, bytes_of: Callable[[int], int]
) -> int | None:
    """Halve a size until it fits into what is free on a GPU; None when even the least does not."""
    if device.type != "cuda":
        return wanted
    free = torch.cuda.mem_get_info(device)[0] * FREE_SHARE
    while wanted >= least and bytes_of(wanted) > free:
        wanted //= 2
    return wanted if wanted >= least else None


def _random(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Draw normal numbers without touching the generators that the training draws from."""
    generator = torch.Generator(device).manual_seed(0)
    return torch.randn(shape, dtype=dtype, device=device, generator=generator)
