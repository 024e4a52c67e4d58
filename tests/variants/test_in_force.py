"""Variants applied to a training, and what torch then says is in force, in processes of their own."""

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
exec(sys.argv[1])
for variant in sys.argv[2:]:
    config = variants.configure(RunConfig(arch="tiny"), variants.parse(variant))
    training = Training(config)
    found = effective_precision("cpu") | training.effective()
    print(json.dumps(found | {"optimizer": repr(training.optimizer)}))
"""


def in_force(*names: str, before: str = "") -> dict[str, dict[str, str]]:
    """Apply each of these variants to a tiny training of its own after some code, and read back."""
    env = {**os.environ, "PERFKIT_PATH": str(PLUGINS)}
    command = [sys.executable, "-c", PROGRAM, before, *names]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()[-len(names) :]
    return dict(zip(names, map(json.loads, told), strict=True))


@pytest.fixture(scope="module")
def of_a_training() -> dict[str, dict[str, str]]:
    """What is in force under the variants that change one training, and not the process that it is in."""
    return in_force("amp", "bf16", "compile", "fused_optimizer", "channels_last")


@pytest.mark.parametrize(
    "before",
    [
        "",
        "import torch; torch.set_float32_matmul_precision('high')",
        "import torch; torch.backends.fp32_precision = 'tf32'\n",
    ],
)
def test_fp32_is_ieee(before: str) -> None:
    """Also after somebody asked for less, through either of torch's interfaces."""
    found = in_force("fp32", before=before)["fp32"]
    assert found["autocast_dtype"] == "off"
    assert (found["matmul_precision"], found["conv_precision"]) == ("ieee", "ieee")


@pytest.mark.parametrize("variant", ["amp", "bf16"])
def test_mixed_precision_on_a_cpu_is_bfloat16_without_a_scaler(of_a_training, variant: str) -> None:
    """And says whether the CPU has the instructions for it."""
    found = of_a_training[variant]
    assert (found["autocast_dtype"], found["grad_scaler"]) == ("bfloat16", "off")
    assert found["bf16"] in ("native", "emulated")


def test_compile_and_the_fused_optimizer_are_read_back(of_a_training) -> None:
    """The mode that the compiled model carries; the flag that the optimizer's groups carry."""
    assert of_a_training["compile"]["compile"] == "default"
    assert "fused: True" in of_a_training["fused_optimizer"]["optimizer"]
    others = of_a_training.keys() - {"fused_optimizer"}
    assert not any("fused: True" in of_a_training[name]["optimizer"] for name in others)


def test_channels_last_is_told_by_strides(of_a_training) -> None:
    """A model without a weight that could tell says so."""
    assert of_a_training["channels_last"]["memory_format"] == "no weight tells"


HOOKED = """
import torch
from perfkit import discovery
tiny = discovery.load("workloads", "tiny")
usual, COUNT = tiny.factory, []

def optimizer(parameters):
    first, second = torch.optim.SGD(parameters[:1], lr=1.0, momentum=0.9), torch.optim.Adam(parameters[1:])
    first.register_step_post_hook(lambda *_: COUNT.append(1))
    schedule = torch.optim.lr_scheduler.StepLR(first, 1)
    first.schedule = schedule
    return [first, second]

tiny.factory = lambda config: usual(config, optimizer=optimizer)
"""
STEPS = """
import torch
from perfkit.training.loop import Loop
for batch in [(torch.ones(3, 8), torch.zeros(3, dtype=torch.long))] * 2:
    training.loss_of(batch).backward()
    for one in training.optimizers:
        one.step()
    training.optimizers[0].schedule.step()
print(json.dumps({"calls": len(COUNT), "rate": training.optimizers[0].param_groups[0]["lr"],
                  **training.effective(), "optimizer_text": repr(training.optimizers)}))
"""


def test_a_fused_optimizer_keeps_hooks_and_schedules() -> None:
    """It stays the object that averages, schedules and the workload hold; of several each is fused."""
    env = {**os.environ, "PERFKIT_PATH": str(PLUGINS)}
    program = PROGRAM[: PROGRAM.index("    found =")] + STEPS
    command = [sys.executable, "-c", program, HOOKED, "fused_optimizer"]
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["optimizer"] == "fused" and found["optimizer_text"].count("fused: True") == 2
    assert found["calls"] == 2
    assert found["rate"] == pytest.approx(0.01)


UPDATES = """
from perfkit.training.failures import CannotRun
called = {}
# a plug-in of the tests' own is for one optimizer
for name in sorted({*variants.names()} - {"half_rate"}):
    one = variants.get(name)
    value = {"N": "2", "0|1": "1"}.get(one.value, (one.value or "").split("|")[0])
    variant = f"{name}={value}" if one.value_required else name
    COUNT.clear()
    try:
        training = Training(variants.configure(RunConfig(arch="tiny"), variants.parse(variant)))
    except CannotRun as error:
        called[variant] = str(error)
        continue
    for one in training.optimizers:
        for parameter in one.param_groups[0]["params"]:
            parameter.grad = torch.ones_like(parameter)
    for _ in range(3):
        for one in training.optimizers:
            one.step()
    called[variant] = len(COUNT)
print(json.dumps(called))
"""


def test_no_variant_loses_an_optimizer_s_hooks() -> None:
    """Under each one that there is they run at every update, or it is refused."""
    env = {**os.environ, "PERFKIT_PATH": str(PLUGINS)}
    program = PROGRAM[: PROGRAM.index("for variant in")] + UPDATES
    done = subprocess.run(
        [sys.executable, "-c", program, HOOKED], capture_output=True, text=True, env=env
    )
    assert done.returncode == 0, done.stderr
    called = json.loads(done.stdout.splitlines()[-1])
    assert {"fused_optimizer", "accumulate=2", "compile", "bf16"} <= called.keys()
    refused = {variant for variant, calls in called.items() if isinstance(calls, str)}
    assert refused <= {"pin_memory=1", "tf32"}, "on a CPU"
    assert {calls for calls in called.values() if isinstance(calls, int)} == {3}


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW"])
def test_fused_updates_are_those_of_an_optimizer_made_fused(kind: str) -> None:
    """Bit for bit, over some steps."""
    import torch

    from perfkit.variants.fused_optimizer import _fuse

    made: list[list[torch.Tensor]] = []
    for late in (True, False):
        parameter = torch.nn.Parameter(torch.arange(4.0))
        settings = {} if late else {"fused": True}
        optimizer = getattr(torch.optim, kind)([parameter], lr=0.1, weight_decay=0.1, **settings)
        if late:
            _fuse(optimizer)
        for step in range(3):
            parameter.grad = torch.full((4,), 1.0 + step)
            optimizer.step()
        made.append([parameter.detach(), *optimizer.state[parameter].values()])
    for ours, theirs in zip(*made, strict=True):
        assert ours is theirs is None or torch.equal(ours, theirs)
