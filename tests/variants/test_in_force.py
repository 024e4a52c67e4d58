"""Variants applied to a training, and what torch then says is in force; each in a fresh process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parents[1] / "plugins"
PROGRAM = """
import json, sys
from perfkit import variants
from perfkit.config import RunConfig
from perfkit.training.probe.device import effective_precision
from perfkit.training.setup import Training
exec(sys.argv[2])
config = variants.configure(RunConfig(arch="tiny"), variants.parse(sys.argv[1]))
training = Training(config)
print(json.dumps(effective_precision("cpu") | training.effective() | {"optimizer": repr(training.optimizer)}))
"""


def in_force(variant: str, before: str = "") -> dict[str, str]:
    """Apply a variant to the tiny training after some code, and read back."""
    env = {**os.environ, "PERFKIT_PATH": str(PLUGINS)}
    command = [sys.executable, "-c", PROGRAM, variant, before]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_fp32_is_ieee() -> None:
    """Also after somebody asked for less, through either of torch's interfaces."""
    for before in (
        "",
        "import torch; torch.set_float32_matmul_precision('high')",
        "import torch; torch.backends.fp32_precision = 'tf32'\n",
    ):
        found = in_force("fp32", before)
        assert found["autocast_dtype"] == "off"
        assert (found["matmul_precision"], found["conv_precision"]) == ("ieee", "ieee"), before


@pytest.mark.parametrize("variant", ["amp", "bf16"])
def test_mixed_precision_on_a_cpu_is_bfloat16_without_a_scaler(variant: str) -> None:
    """And says whether the CPU has the instructions for it."""
    found = in_force(variant)
    assert (found["autocast_dtype"], found["grad_scaler"]) == ("bfloat16", "off")
    assert found["bf16"] in ("native", "emulated")


def test_compile_and_the_fused_optimizer_are_read_back() -> None:
    """The mode that the compiled model carries; the flag that the optimizer's groups carry."""
    assert in_force("compile")["compile"] == "default"
    assert "fused: True" in in_force("fused_optimizer")["optimizer"]


def test_channels_last_is_told_by_strides() -> None:
    """A model without a weight that could tell says so."""
    assert in_force("channels_last")["memory_format"] == "no weight tells"
