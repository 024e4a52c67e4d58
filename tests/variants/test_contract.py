"""The contract of a variant's file: every one that is found, in our folder or a stranger's, keeps it."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest

from perfkit import discovery, variants
from perfkit.config import RunConfig
from perfkit.errors import UsageError
from perfkit.variants import STAGES, DeviceInfo

NAMES = discovery.names("variants")
EXAMPLES = {"N": ("4", "04"), "0|1": ("1", "0"), "[MODE]": (None, "max-autotune")}
CPU = DeviceInfo(type="cpu", name="a CPU")


@pytest.mark.parametrize("name", NAMES)
def test_a_file_keeps_the_contract(name: str) -> None:
    """A hypothesis in its first line, a known stage, no function that nobody would call."""
    variant = variants.get(name)
    module = discovery.load("variants", name)
    assert len(variant.doc.splitlines()[0]) > 20
    assert variant.stage in STAGES
    public = {
        n
        for n, f in vars(module).items()
        if inspect.isfunction(f) and f.__module__ == module.__name__ and not n.startswith("_")
    }
    assert public <= {"normalise", "change", "supported", "apply", "read_back"}
    assert public & {"change", "apply"} or name == "fp32"


@pytest.mark.parametrize("name", NAMES)
def test_values_have_one_form(name: str) -> None:
    """Normalising twice changes nothing; nonsense is refused by name."""
    variant = variants.get(name)
    if variant.value is None:
        with pytest.raises(UsageError, match=name):
            variants.parse(f"{name}=1")
        return
    examples = EXAMPLES.get(variant.value, tuple(variant.value.strip("[]").split("|")))
    for example in examples:
        once = variant.normalise(example)
        assert variant.normalise(once) == once
    with pytest.raises(UsageError, match=name):
        variants.parse(f"{name}=nonsense")


@pytest.mark.parametrize("name", NAMES)
def test_a_change_yields_valid_settings(name: str) -> None:
    """What a variant makes of the settings is a RunConfig, and of a setting it changes at least one."""
    variant = variants.get(name)
    value = None
    if variant.value_required:
        examples = EXAMPLES.get(variant.value or "", tuple((variant.value or "").split("|")))
        value = variant.normalise(examples[0])
    changed = variant.change(RunConfig(arch="convnext", batch_size=32), value)
    assert isinstance(changed, RunConfig)


def test_the_order_of_apply_is_fixed_and_compile_is_last() -> None:
    """Whatever order they are written in."""
    pairs = variants.parse("compile+fused_optimizer+channels_last+bf16+num_workers=4")
    stages = [variants.get(name).stage for name, _ in variants.in_order(pairs)]
    assert stages == sorted(stages, key=STAGES.index)
    assert variants.in_order(pairs)[-1][0] == "compile"


def test_listing_and_planning_import_no_torch() -> None:
    """Every variant loads, and every change is planned, on the study's side."""
    program = (
        "import sys; from perfkit import variants; variants.known();"
        "variants.parse('amp+compile+channels_last+batch_size=8');"
        "print([m for m in ('torch', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize(
    ("name", "device", "because"),
    [
        ("tf32", CPU, "NVIDIA"),
        ("tf32", DeviceInfo(type="cuda", name="V100", capability=(7, 0)), "8.0"),
        ("pin_memory", CPU, "copies to a GPU"),
        ("amp", DeviceInfo(type="mps", name="M2"), "mps"),
        ("compile", DeviceInfo(type="mps", name="M2"), "mps"),
        ("compile", DeviceInfo(type="cuda", name="P100", capability=(6, 0)), "7.0"),
    ],
)
def test_what_a_device_cannot_run_has_a_reason(name: str, device: DeviceInfo, because: str) -> None:
    """One sentence, which becomes the row's message."""
    refusal = variants.get(name).supported(device)
    assert refusal is not None and because in refusal.reason


def test_scaling_the_learning_rate_is_linear() -> None:
    """k times the batch, k times the rate, and the order they are written in does not matter."""
    base = RunConfig(arch="convnext", batch_size=16, lr_batch_size=16, learning_rate=1e-3)
    config = variants.configure(base, variants.parse("scale_lr=1+batch_size=64"))
    assert config.learning_rate == pytest.approx(4e-3)
    alone = variants.configure(base, variants.parse("batch_size=64"))
    assert alone.learning_rate == 1e-3
