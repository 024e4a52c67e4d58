"""What a variant is: one file in this folder (or in `PERFKIT_PATH/variants`), found by its name.

    \"\"\"One line: the change and the hypothesis it tests.\"\"\"

    STAGE = "model"                                       # see STAGES
    VALUE = None                                          # or how its value is written, e.g. "N"

    def normalise(value): ...                             # only where VALUE is set
    def change(config, value): return config              # study side: the settings it changes
    def supported(device): return None                    # training side, before anything is built
    def apply(training, value): ...                       # training side: changes the Training
    def read_back(training): return {}                    # training side: what torch says is in force

Every function may be left out; what is left out does nothing. Torch is imported inside functions only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from perfkit.config import RunConfig

Stage = Literal["settings", "data", "precision", "model", "optimizer", "compile"]
STAGES: tuple[Stage, ...] = ("settings", "data", "precision", "model", "optimizer", "compile")
"""The order in which variants are applied, whatever order they were written in; compile is last."""


@dataclass(frozen=True, kw_only=True)
class DeviceInfo:
    """What a variant may ask of the device it is to run on."""

    type: str
    """`cuda`, `cpu` or `mps`."""
    name: str
    capability: tuple[int, int] | None = None
    """CUDA compute capability."""
    bf16_native: bool = False
    """The device computes in bfloat16 itself and does not emulate it."""
    count: int = 1
    """Devices of this type on the machine."""


@dataclass(frozen=True)
class Unsupported:
    """Why a device cannot run a variant, one sentence."""

    reason: str


class Training(Protocol):
    """What a variant may change: everything of a training before its first step.

    The types are Any because torch is not imported on the study's side.
    """

    config: RunConfig
    device: Any
    """torch.device"""
    workload: Any
    """perfkit.training.workload.Workload: frozen, so to change what it trains on, assign a new one"""
    model: Any
    """torch.nn.Module, on the device"""
    optimizer: Any
    """torch.optim.Optimizer over the model's parameters; a tuple of them where there are several"""
    optimizers: Any
    """all of them in a tuple, whether one or several; to be replaced, assign `optimizer`"""
    autocast_dtype: Any
    """torch.dtype of autocast, or None for none"""
    scaler: Any
    """torch.amp.GradScaler, or None"""
    startup_s: dict[str, float]
    """one-time costs of what a variant does before the first step, seconds by name; to be added to"""
    memory_format: Any
    """torch.memory_format of image batches, or None for contiguous"""
    step_model: Any
    """The callable that the loop calls: the model, or what compile made of it"""


@dataclass(frozen=True)
class Variant:
    """A loaded variant file with its defaults filled in."""

    name: str
    doc: str
    stage: Stage
    value: str | None
    """How its value is written (`N`, `0|1`, `MODE`); None when it takes none."""
    value_required: bool
    normalise: Callable[[str | None], str | None]
    change: Callable[[RunConfig, str | None], RunConfig]
    supported: Callable[[DeviceInfo], Unsupported | None]
    apply: Callable[[Any, str | None], None]
    read_back: Callable[[Any], dict[str, str]]
