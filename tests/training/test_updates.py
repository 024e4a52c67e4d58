"""What an update is under every variant: hooks and schedules that the training has go on with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import loop_of, use
from torch import nn

from perfkit import variants
from perfkit.config import RunConfig
from perfkit.errors import PerfkitError
from perfkit.training import losses, setup
from perfkit.training.failures import CannotRun
from perfkit.training.loop import Loop
from perfkit.training.probe.recorder import Recorder
from perfkit.training.setup import Training

UPDATES = 3
EXAMPLES = {"N": "2", "0|1": "1", "[MODE]": None, None: None}
"""By how a variant writes its value, a value."""
REFUSED = ("tf32", "pin_memory=1", "compile")
"""What a CPU, or one without a compiler, does not run."""


class Averaging:
    """Makes an optimizer whose every step, by hooks, keeps an average of the weights and halves the rate."""

    def __init__(self) -> None:
        self.steps = 0
        self.average = torch.zeros(())
        self.schedule: Any = None

    def __call__(self, parameters: Any) -> Any:
        made = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
        self.schedule = torch.optim.lr_scheduler.ExponentialLR(made, 0.5)

        @torch.no_grad()
        def after(*_: Any) -> None:
            self.steps += 1
            self.average = self.average.lerp(parameters[0].detach().clone(), 0.5)
            self.schedule.step()

        made.register_step_post_hook(after)
        return made


def written() -> list[str]:
    """Every variant there is, with a value where it takes one."""
    texts = []
    for variant in variants.known():
        value = EXAMPLES.get(variant.value, (variant.value or "").split("|")[0])
        texts.append(variant.name if value is None else f"{variant.name}={value}")
    return texts


@pytest.mark.parametrize("text", written())
def test_hooks_and_schedules_go_on_under_every_variant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """The step hook runs once an update and the schedule follows, as in the reference, or it is refused."""
    averaging = Averaging()
    use(monkeypatch, optimizer=averaging, model_of=lambda: nn.Linear(8, 4))
    # what it makes of the model is not what this is about, and takes long
    monkeypatch.setattr(torch, "compile", lambda model, mode: model)
    usual = (torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32)
    base = RunConfig(arch="small", batch_size=8, num_samples=64)
    config = variants.configure(base, variants.parse(text))
    try:
        training = Training(config)
    except (CannotRun, PerfkitError) as refused:
        assert str(refused) and text in REFUSED
        return
    finally:
        torch.set_float32_matmul_precision(usual[0])
        torch.backends.cudnn.allow_tf32 = usual[1]
    loop = Loop(training, Recorder(tmp_path / "steps.bin"), tmp_path / "steps.bin")
    for _ in range(UPDATES * config.accumulate):
        loop.train_on(training.to_device(setup.first_batch(config, training.workload)))
    assert averaging.steps == UPDATES
    assert averaging.average.any()
    assert averaging.schedule.optimizer is training.optimizer
    rates = [group["lr"] for group in training.optimizer.param_groups]
    assert rates == [pytest.approx(0.1 * 0.5**UPDATES)]


def test_what_rebuilds_the_optimizer_is_among_them() -> None:
    """The test above would say nothing of a variant that it does not know."""
    assert {"fused_optimizer", "compile", "accumulate=2", "fp32"} <= set(written())


def test_accumulated_batches_make_one_update_of_their_mean(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two batches of eight update as one of sixteen does; the weights stay until the second is through."""
    layer = nn.Linear(8, 4)

    def fresh() -> nn.Module:
        made = nn.Linear(8, 4)
        made.load_state_dict(layer.state_dict())
        return made

    use(monkeypatch, model_of=fresh)
    loop = loop_of(tmp_path, learning_rate=0.5, accumulate=2)
    (tmp_path / "whole").mkdir()
    whole = loop_of(tmp_path / "whole", learning_rate=0.5)
    inputs, targets = torch.randn(16, 8), torch.arange(16) % 4
    whole.train_on([inputs, targets])
    loop.train_on([inputs[:8], targets[:8]])
    torch.testing.assert_close(loop.training.model.state_dict(), layer.state_dict())
    loop.train_on([inputs[8:], targets[8:]])
    torch.testing.assert_close(loop.training.model.state_dict(), whole.training.model.state_dict())
    assert not torch.equal(loop.training.model.weight, layer.weight)
    assert loop.training.accumulated == 0


def test_losses_are_those_without_accumulation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each follows as many updates, by the gradient of the same batch; whatever waited for one before."""
    use(monkeypatch)
    plain = losses.trace(loop_of(tmp_path, learning_rate=0.1), 5)
    (tmp_path / "other").mkdir()
    loop = loop_of(tmp_path / "other", learning_rate=0.1, accumulate=4)
    loop.train_on([torch.randn(16, 8), torch.arange(16) % 4])
    assert losses.trace(loop, 5) == pytest.approx(plain)
