"""Losses by seed: the same seed gives the same losses, whatever the precision does to the rest."""

from __future__ import annotations

import copy
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from small_training import BATCH, Numbered, loop_of, use
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from perfkit.config import RunConfig
from perfkit.runfolder import RunFolder
from perfkit.training import losses
from perfkit.training.arms import Real
from perfkit.training.commands import Commands
from perfkit.training.loading import BatchOrder, make_loader
from perfkit.training.loop import Loop
from perfkit.training.perturbing import Perturbation

PLUGINS = Path(__file__).parents[1] / "plugins"


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Commands:
    """The tiny training, in this process."""
    monkeypatch.setenv("PERFKIT_PATH", str(PLUGINS))
    config = RunConfig(arch="tiny", batch_size=BATCH, num_samples=10 * BATCH)
    return Commands(RunFolder.create(tmp_path / "run", config))


def test_a_trace_depends_on_its_seed_alone(commands: Commands) -> None:
    """Not on what was trained before; another seed has other losses."""
    first = losses.trace(commands.loop, 0)
    other = losses.trace(commands.loop, 1)
    assert losses.trace(commands.loop, 0) == first
    assert other != first
    assert len(first) == losses.STEPS
    assert first[-1] < first[0]


def test_randomness_is_off() -> None:
    """Dropout drops nothing, and stochastic depth keeps every branch."""
    from perfkit.training.workloads.convnext import StochasticDepth

    model = nn.Sequential(nn.Dropout(0.5), StochasticDepth(0.8))
    losses._switch_off_randomness(model)
    assert model[0].p == 0.0
    assert float(model[1].keep_probability) == 1.0


def loop_with(path: Path, patch: pytest.MonkeyPatch, **parts: Any) -> Loop:
    """A loop over such parts, some steps trained."""
    use(patch, **parts)
    loop = loop_of(path, learning_rate=0.1)
    training = loop.training
    loop.run(Real(make_loader(training.config, training.workload, BatchOrder(training.config))), 3)
    return loop


def test_perturbed_traces_spread_with_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three each, ten times as far off at ten times the size, and the same when asked again."""
    layers = nn.Sequential(nn.Linear(8, 16), nn.ReLU(inplace=True), nn.Linear(16, 4))
    loop = loop_with(tmp_path, monkeypatch, model_of=lambda: copy.deepcopy(layers))
    plain = losses.trace(loop, 0)
    far: list[float] = []
    for size in (1e-4, 1e-3):
        traces = losses.perturbed(loop, 0, size)
        assert len(traces) == losses.PERTURBED_TRACES == len({tuple(t) for t in traces})
        assert losses.perturbed(loop, 0, size) == traces
        far.append(max(abs(a - b) for t in traces for a, b in zip(t, plain, strict=True)))
    assert 0 < far[0] < 1e-3
    assert 3 < far[1] / far[0] < 30
    assert losses.trace(loop, 0) == plain, "the hooks are gone"


def test_outputs_and_gradients_are_perturbed_apart() -> None:
    """Each element by at most the size, gradients with draws of their own; what holds no tensor stays."""
    layer = nn.Identity()
    inputs = torch.ones(1000, requires_grad=True)
    with Perturbation(layer, 0.01, seed=1):
        outputs = layer(inputs)
        outputs.sum().backward()
        assert layer("text") == "text"
        assert torch.equal(layer(torch.arange(3)), torch.arange(3))
    assert inputs.grad is not None
    for changed in (outputs, inputs.grad):
        away = (changed.detach() - 1).abs()
        assert 0.009 < float(away.max()) <= 0.01 + 1e-6
    assert not torch.equal(outputs, inputs.grad)
    assert torch.equal(layer(inputs), inputs)


@pytest.mark.parametrize(
    "model",
    [
        lambda: nn.LSTM(8, 4, batch_first=True),
        lambda: nn.MultiheadAttention(8, 2, batch_first=True),
    ],
)
def test_layers_of_several_outputs_are_perturbed(model: Any) -> None:
    """Every tensor of a tuple; of a packed sequence the data; attention as a whole."""
    layer = model()
    inputs = torch.randn(2, 3, 8)
    arguments = (inputs,) * (3 if isinstance(layer, nn.MultiheadAttention) else 1)
    usual = layer(*arguments)[0]
    with Perturbation(layer, 0.01, seed=1):
        changed = layer(*arguments)[0]
        if isinstance(layer, nn.LSTM):
            packed = pack_sequence([inputs[0], inputs[1]])
            assert isinstance(layer(packed)[0], PackedSequence)
    assert not torch.equal(usual, changed)
    torch.testing.assert_close(usual, changed, rtol=0.011, atol=0)


class Lookahead(torch.optim.Optimizer):
    """Holds an optimizer, a count and weights of its own beside its `state`."""

    def __init__(self, parameters: Any) -> None:
        self.inner = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
        super().__init__(self.inner.param_groups, {})
        self.param_groups = self.inner.param_groups
        self.count = 0
        self.slow = [p.detach().clone() for p in parameters]

    def step(self, closure: Any = None) -> None:
        self.inner.step()
        self.count += 1
        if self.count % 2 == 0:
            for slow, fast in zip(self.slow, self.param_groups[0]["params"], strict=True):
                slow.lerp_(fast.detach(), 0.5)
                fast.data.copy_(slow)


def with_schedule(parameters: Any) -> Any:
    """An optimizer whose every step, by a hook, halves its learning rate."""
    made = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)

    def halve(optimizer: Any, *_: Any) -> None:
        optimizer.param_groups[0]["lr"] /= 2

    made.register_step_post_hook(halve)
    return made


def pair(parameters: Any) -> tuple[Any, Any]:
    return torch.optim.Adam(parameters[:1]), torch.optim.SGD(parameters[1:], lr=0.1, momentum=0.9)


@pytest.mark.parametrize("optimizer", [Lookahead, with_schedule, pair])
def test_optimizers_begin_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, optimizer: Any
) -> None:
    """Whatever they hold and wherever: what was trained before leaves nothing behind."""
    use(monkeypatch, optimizer=optimizer)
    untouched = losses.trace(loop_of(tmp_path, learning_rate=0.1), 3)
    (tmp_path / "other").mkdir()
    loop = loop_with(tmp_path / "other", monkeypatch, optimizer=optimizer)
    inner = getattr(loop.training.optimizer, "inner", None)
    assert losses.trace(loop, 3) == untouched
    assert losses.trace(loop, 3) == untouched
    assert getattr(loop.training.optimizer, "inner", None) is inner


def test_what_cannot_begin_anew_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An optimizer that holds something that cannot be copied trains; it has no losses to compare."""

    def optimizer(parameters: Any) -> Any:
        made = torch.optim.SGD(parameters, lr=0.1)
        made.lock = threading.Lock()  # type: ignore[attr-defined]
        return made

    loop = loop_with(tmp_path, monkeypatch, optimizer=optimizer)
    with pytest.raises(TypeError, match="lock"):
        losses.trace(loop, 0)


def test_weights_that_do_not_fit_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variant that changes the model's parts: in one line, with what is missing."""
    loop = loop_with(tmp_path, monkeypatch)
    loop.training.model.extra = nn.Linear(2, 2)
    with pytest.raises(RuntimeError, match=r"fresh copy do not fit.*extra\.weight") as caught:
        losses.trace(loop, 0)
    assert "\n" not in str(caught.value)


def test_layers_that_learn_their_size_have_losses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training's own before its optimizer is made, a fresh copy before its weights are taken."""
    sizes: list[int] = []

    def optimizer(parameters: Any) -> Any:
        sizes.extend(p.numel() for p in parameters)
        return torch.optim.SGD(parameters, lr=0.1)

    loop = loop_with(tmp_path, monkeypatch, model_of=lambda: nn.LazyLinear(4), optimizer=optimizer)
    assert sizes == [32, 4]
    first = losses.trace(loop, 1)
    assert losses.trace(loop, 1) == first != losses.trace(loop, 2)


def test_batches_are_fetched_as_the_loader_fetches_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dataset that fetches whole batches, and a loop that changes them, have losses like any other."""

    class Whole(Numbered):
        def __getitems__(self, indices: list[int]) -> Any:
            each = [self[index] for index in indices]
            return torch.stack([x for x, _ in each]), torch.tensor([y for _, y in each])

    def step(model: Any, batch: Any) -> torch.Tensor:
        inputs, targets = batch
        return nn.functional.cross_entropy(model(2 * inputs), targets)

    def careless(model: Any, batch: Any) -> torch.Tensor:
        targets = batch.pop()
        return nn.functional.cross_entropy(model(batch.pop().mul_(2)), targets)

    plain = losses.trace(loop_with(tmp_path, monkeypatch, loss=None, step=step), 0)
    (tmp_path / "other").mkdir()
    parts = {"loss": None, "step": careless, "collate": list, "dataset": Whole(64)}
    assert losses.trace(loop_with(tmp_path / "other", monkeypatch, **parts), 0) == plain
