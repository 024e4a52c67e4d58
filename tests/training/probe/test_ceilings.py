"""What the device can sustain, and what is published of it."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from perfkit.training.probe import ceilings
from perfkit.training.probe.peaks import peak_flops


def test_ceilings_are_measured() -> None:
    """A rate that a training step cannot pass: positive and finite."""
    gemm = ceilings.gemm_flops_per_sec("cpu", torch.float32)
    copy = ceilings.copy_bytes_per_sec("cpu")
    assert gemm is not None and 1e8 < gemm < 1e16
    assert copy is not None and 1e7 < copy < 1e14


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_ceiling_is_of_what_the_model_computes_in(dtype: torch.dtype) -> None:
    """That of most of its weights; one without any computes in FP32."""
    model = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64)).to(dtype)
    model.register_parameter("counts", nn.Parameter(torch.zeros(9999).int(), requires_grad=False))
    model[1].float()
    assert ceilings.dtype_of(model) == dtype
    assert ceilings.dtype_of(nn.ReLU()) == torch.float32


@pytest.mark.parametrize(
    ("name", "precision", "tera"),
    [
        ("NVIDIA H100 80GB HBM3", "bf16", 989.5),
        ("NVIDIA H100 80GB HBM3", "fp32", 67),
        ("NVIDIA H200", "tf32", 494.5),
        ("NVIDIA A100-SXM4-80GB", "fp16", 312),
        ("Tesla T4", "bf16", None),
        ("NVIDIA A10G", "fp32", None),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "bf16", None),
        ("AMD EPYC", "fp32", None),
    ],
)
def test_a_peak_is_published_or_unknown(name: str, precision: str, tera: float | None) -> None:
    """Whole names only: a relative, a slice and a CPU are unknown, and never the nearest GPU's."""
    assert peak_flops(name, precision) == (None if tera is None else tera * 1e12)
