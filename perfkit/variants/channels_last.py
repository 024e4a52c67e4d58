"""Channels-last (NHWC) images and weights: matrix units want it, and then need no transposes."""

from __future__ import annotations

from typing import Any

STAGE = "model"


def apply(training: Any, value: str | None) -> None:
    import torch

    training.model.to(memory_format=torch.channels_last)
    training.memory_format = torch.channels_last


def read_back(training: Any) -> dict[str, str]:
    """Tell the weights' format by strides; 1×1 and depthwise weights have both and tell nothing."""
    import torch

    formats = set()
    for parameter in training.model.parameters():
        if parameter.dim() != 4:
            continue
        last = parameter.is_contiguous(memory_format=torch.channels_last)
        if last != parameter.is_contiguous():
            formats.add("channels_last" if last else "contiguous")
    if len(formats) > 1:
        return {"memory_format": "mixed"}
    return {"memory_format": formats.pop() if formats else "no weight tells"}
