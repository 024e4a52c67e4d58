"""Published peak rates of NVIDIA GPUs, for `mfu` alone: what was measured never comes from here.

Dense rates (no structured sparsity) in FLOP/s at boost clock, as NVIDIA publishes them per product.
Where a sheet gives the sparse rate only, half of it stands here. `fp32` is the rate of the ordinary
units, the others are the matrix units' with FP32 accumulation, which is what torch asks for
(GeForce cards run that at half the rate they advertise with FP16 accumulation). A precision without
a line has no such unit.

Names are whole names as torch gives them, so that a variant of another size (A10G, A100X, H800,
L40, a laptop's 4090) matches nothing. Unknown is None, never the nearest GPU.
"""

from __future__ import annotations

import re

_TERA = 1e12
_PEAKS: tuple[tuple[str, dict[str, float]], ...] = (
    # NVIDIA V100 Tensor Core GPU datasheet (2020): SXM2, PCIe, V100S
    (r"Tesla V100-SXM2-(16|32)GB", {"fp32": 15.7, "fp16": 125}),
    (r"Tesla V100-PCIE-(16|32)GB", {"fp32": 14, "fp16": 112}),
    (r"Tesla V100S-PCIE-32GB", {"fp32": 16.4, "fp16": 130}),
    # NVIDIA T4 datasheet (2019)
    (r"(Tesla )?T4", {"fp32": 8.1, "fp16": 65}),
    # NVIDIA A100 Tensor Core GPU datasheet (2022)
    (
        r"A100(-SXM4-(40|80)GB|-SXM-80GB|-PCIE-40GB|-PCIE-80GB| 80GB PCIe)",
        {"fp32": 19.5, "tf32": 156, "fp16": 312, "bf16": 312},
    ),
    # NVIDIA A10 datasheet (2021)
    (r"A10", {"fp32": 31.2, "tf32": 62.5, "fp16": 125, "bf16": 125}),
    # NVIDIA A30 datasheet (2022)
    (r"A30", {"fp32": 10.3, "tf32": 82, "fp16": 165, "bf16": 165}),
    # NVIDIA L4 datasheet (2023): sparse 120, 242, 242
    (r"L4", {"fp32": 30.3, "tf32": 60, "fp16": 121, "bf16": 121}),
    # NVIDIA L40S datasheet (2024)
    (r"L40S", {"fp32": 91.6, "tf32": 183, "fp16": 362.05, "bf16": 362.05}),
    # NVIDIA Ampere GA102 GPU architecture whitepaper (2021), table of GeForce RTX 3090
    (r"GeForce RTX 3090", {"fp32": 35.6, "tf32": 35.6, "fp16": 71, "bf16": 71}),
    # NVIDIA Ada GPU architecture whitepaper (2023), table of GeForce RTX 4090
    (r"GeForce RTX 4090", {"fp32": 82.6, "tf32": 82.6, "fp16": 165.2, "bf16": 165.2}),
    # NVIDIA H100 Tensor Core GPU datasheet (2024): SXM sparse 989, 1979; NVL sparse 835, 1671
    (r"H100 80GB HBM3", {"fp32": 67, "tf32": 494.5, "fp16": 989.5, "bf16": 989.5}),
    (r"H100 NVL", {"fp32": 60, "tf32": 417.5, "fp16": 835.5, "bf16": 835.5}),
    # NVIDIA H100 Tensor Core GPU datasheet (2023), which still had the PCIe card: sparse 756, 1513
    (r"H100 PCIe", {"fp32": 51, "tf32": 378, "fp16": 756.5, "bf16": 756.5}),
    # NVIDIA H200 Tensor Core GPU datasheet (2024): SXM sparse 989, 1979; NVL sparse 835, 1671
    (r"H200", {"fp32": 67, "tf32": 494.5, "fp16": 989.5, "bf16": 989.5}),
    (r"H200 NVL", {"fp32": 60, "tf32": 417.5, "fp16": 835.5, "bf16": 835.5}),
    # NVIDIA Blackwell datasheet (2025), HGX B200 per GPU: sparse 2200, 4500
    (r"B200", {"fp32": 75, "tf32": 1100, "fp16": 2250, "bf16": 2250}),
)


def peak_flops(name: str, precision: str) -> float | None:
    """Return the published peak of a GPU in FLOP/s, None where it is not known.

    A MIG slice, which is a part of a GPU, is unknown.

    Args:
        name: as `torch.cuda.get_device_name` gives it.
        precision: what the matrix products run in: `fp32` (IEEE), `tf32`, `fp16` or `bf16`.
    """
    product = name.strip().removeprefix("NVIDIA ")
    for pattern, peaks in _PEAKS:
        if re.fullmatch(pattern, product):
            peak = peaks.get(precision)
            return None if peak is None else peak * _TERA
    return None
