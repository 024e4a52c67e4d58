"""Head, loss, evaluation, separation metrics and plot, up to a whole run on the small tree."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from own_settings import having
from PIL import Image
from torch import Tensor, nn

from perfkit.codec import json_text, to_json
from perfkit.config import RunConfig
from perfkit.training.edges import EpochContext
from perfkit.training.setup import Training
from perfkit.training.workloads import _embedding
from perfkit.training.workloads._embedding import SCALE, CosineSoftmax, draw, separation


def slow_separation(points: list[list[float]], labels: list[int]) -> tuple[float, float, float]:
    """Within, between and silhouette by their definitions, pair by pair."""
    every = range(len(points))

    def mean_distance(i: int, others: list[int]) -> float:
        return sum(math.dist(points[i], points[j]) for j in others) / len(others)

    def members(label: int, without: int) -> list[int]:
        return [j for j in every if labels[j] == label and j != without]

    scores = []
    for i in every:
        own = members(labels[i], i)
        if not own:
            scores.append(0.0)
            continue
        a = mean_distance(i, own)
        b = min(mean_distance(i, members(c, i)) for c in set(labels) - {labels[i]})
        scores.append((b - a) / max(a, b) if max(a, b) else 0.0)
    pairs = [(i, j) for i in every for j in every if i < j]
    same = [math.dist(points[i], points[j]) for i, j in pairs if labels[i] == labels[j]]
    other = [math.dist(points[i], points[j]) for i, j in pairs if labels[i] != labels[j]]
    within = sum(same) / len(same) if same else math.nan
    return within, sum(other) / len(other), sum(scores) / len(scores)


def test_separation_by_hand() -> None:
    """Two pairs a side of 1 apart at a distance of 4: 1 within, 0.5 · (4 + √17) between."""
    points = torch.tensor([[0.0, 0.0], [0.0, 1.0], [4.0, 0.0], [4.0, 1.0]])
    found = separation(points, torch.tensor([5, 5, 2, 2]))
    between = (4 + math.sqrt(17)) / 2
    assert found == pytest.approx(
        {"within": 1.0, "between": between, "silhouette": (between - 1) / between}
    )


@settings(max_examples=40)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 3), min_size=3, max_size=40).filter(lambda each: len(set(each)) > 1),
)
def test_separation_is_its_definition(seed: int, labels: list[int]) -> None:
    """Vectorised and pair by pair agree, whatever the classes' sizes, classes of one included."""
    points = np.random.default_rng(seed).normal(size=(len(labels), 3)).astype(np.float32)
    found = separation(torch.from_numpy(points), torch.tensor(labels))
    expected = slow_separation(points.tolist(), labels)
    assert tuple(found.values()) == pytest.approx(expected, rel=1e-4, abs=1e-5, nan_ok=True)


def test_separation_of_collapsed_embeddings() -> None:
    """Where all embeddings are one point every distance is zero, and nothing is set apart."""
    points = nn.functional.normalize(torch.ones(40, 128), dim=1)
    found = separation(points, torch.arange(40) % 2)
    assert found == {"within": 0.0, "between": 0.0, "silhouette": 0.0}


def test_separation_of_nothing_is_not_a_number() -> None:
    """One class has no between and no silhouette, classes of one have no within: NaN and not zero."""
    one_class = separation(torch.randn(3, 2), torch.zeros(3, dtype=torch.long))
    assert one_class["within"] > 0
    assert math.isnan(one_class["between"]) and math.isnan(one_class["silhouette"])
    singles = separation(torch.randn(3, 2), torch.arange(3))
    assert singles["between"] > 0 and singles["silhouette"] == 0
    assert math.isnan(singles["within"])


def test_the_loss_by_hand() -> None:
    """On its own direction the cosine is 1, on the opposite one −1: log(1 + exp(−2 · scale)) and more."""
    loss = CosineSoftmax(2)
    with torch.no_grad():
        loss.directions.zero_()
        loss.directions[0, 0], loss.directions[1, 0] = 3.0, -0.5
    embedding = nn.functional.one_hot(torch.tensor([0]), 128).float()
    assert loss.logits(embedding).tolist() == [[SCALE, -SCALE]]
    assert loss(embedding, torch.tensor([1])).item() == pytest.approx(2 * SCALE)
    assert loss(embedding, torch.tensor([0])).item() == pytest.approx(0.0, abs=1e-6)


def test_gradients_reach_class_directions_and_model(config: RunConfig) -> None:
    """The optimizer holds the loss's parameters beside the model's, and an update moves them."""
    training = Training(config)
    held = {id(p) for group in training.optimizer.param_groups for p in group["params"]}
    assert held == {id(p) for p in training.parameters()}
    assert id(training.loss.directions) in held
    before = training.loss.directions.detach().clone()
    images = torch.randn(4, 3, 16, 16)
    training.loss(training.model(images), torch.arange(4)).backward()
    assert training.loss.directions.grad.abs().sum() > 0
    assert all(p.grad is not None for p in training.model.parameters())
    training.optimizer.step()
    assert not torch.equal(training.loss.directions, before)


def test_the_optimizer_is_adamw_of_the_configuration(config: RunConfig) -> None:
    """Learning rate from the configuration, weight decay of 0.05."""
    optimizer = Training(replace(config, learning_rate=0.03)).optimizer
    assert isinstance(optimizer, torch.optim.AdamW)
    assert optimizer.defaults["lr"] == 0.03
    assert optimizer.defaults["weight_decay"] == 0.05


@pytest.mark.parametrize("arch", ["convnext", "baseline"])
@pytest.mark.parametrize("precision", ["fp32", "amp"])
def test_evaluation_and_periodic_work(
    config: RunConfig, tmp_path: Path, arch: str, precision: str
) -> None:
    """A whole epoch's edge: every held-out image embedded, its separation known, the plot drawn."""
    changed = replace(config, arch=arch, variants=((precision, None),), batch_size=5)
    training = Training(changed)
    epoch = EpochContext(training, str(tmp_path))
    assert training.workload.evaluate is not None
    epoch.results = dict(training.workload.evaluate(epoch))
    assert training.model.training
    embeddings, labels = epoch.results["embeddings"], epoch.results["labels"]
    assert (embeddings.shape, embeddings.dtype) == ((12, 128), torch.float32)
    assert labels.tolist() == [0, 1, 2, 3] * 3
    assert 0 <= epoch.results["accuracy"] <= 1
    logits = training.loss.logits(embeddings)
    loss = nn.functional.cross_entropy(logits, labels).item()
    assert epoch.results["loss"] == pytest.approx(loss, rel=0.03 if precision == "amp" else 1e-4)
    for task in training.workload.periodic:
        task.run(epoch)
    assert epoch.results["separation"] == separation(embeddings, labels)
    with Image.open(tmp_path / "embeddings.png") as plot:
        assert plot.size == (600, 500)


def test_evaluation_is_the_same_twice(config: RunConfig, tmp_path: Path) -> None:
    """Neither augmentation nor stochastic depth nor batch statistics of its own have a part in it."""
    training = Training(replace(config, arch="baseline"))
    epoch = EpochContext(training, str(tmp_path))
    assert training.workload.evaluate is not None
    state = {name: value.clone() for name, value in training.model.state_dict().items()}
    first, second = (training.workload.evaluate(epoch) for _ in range(2))
    assert torch.equal(first["embeddings"], second["embeddings"])
    assert all(torch.equal(state[name], v) for name, v in training.model.state_dict().items())


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", "float32"), ("bf16", "bfloat16")])
def test_evaluation_is_in_the_rows_precision(
    config: RunConfig, tmp_path: Path, precision: str, dtype: str
) -> None:
    """The model is evaluated as it is trained; what comes out is FP32 for the metrics."""
    training = Training(replace(config, variants=((precision, None),)))
    seen: set[str] = set()
    training.model.head.project.register_forward_hook(lambda *each: seen.add(str(each[2].dtype)))
    assert training.workload.evaluate is not None
    found = training.workload.evaluate(EpochContext(training, str(tmp_path)))
    assert seen == {f"torch.{dtype}"}
    assert found["embeddings"].dtype == torch.float32


def test_a_failing_evaluation_leaves_the_model_training(config: RunConfig, tmp_path: Path) -> None:
    """Whatever happens in an evaluation, the steps after it are training steps."""
    training = Training(config)
    epoch = EpochContext(training, str(tmp_path))
    training.model.head.register_forward_hook(lambda *_: 1 / 0)
    assert training.workload.evaluate is not None
    with pytest.raises(ZeroDivisionError):
        training.workload.evaluate(epoch)
    assert all(part.training for part in training.model.modules())


def test_how_often(config: RunConfig) -> None:
    """Metrics and plot come as often as the configuration says; 0 is never."""
    asked = having(config, metrics_every=7, viz_every=30)
    tasks = Training(asked).workload.periodic
    assert {task.name: task.every for task in tasks} == {"metrics": 7, "visualisation": 30}
    never = Training(having(config, metrics_every=0, viz_every=0)).workload.periodic
    assert not [task.name for task in never if task.every]


@pytest.mark.parametrize(("viz_every", "imported"), [(0, "False"), (1, "True")])
def test_matplotlib_is_imported_when_built_and_only_if_needed(
    config: RunConfig, viz_every: int, imported: str
) -> None:
    """Its import is no part of a timed plot, and no part at all of a training without plots."""
    text = json_text(to_json(having(config, viz_every=viz_every)))
    code = (
        "import json, sys\n"
        "from perfkit.codec import from_json\n"
        "from perfkit.config import RunConfig\n"
        "from perfkit.training.setup import make_workload\n"
        f"make_workload(from_json(RunConfig, json.loads({text!r})))\n"
        "print('matplotlib.figure' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [imported, "False"]


def coloured(path: Path) -> int:
    """Pixels of a plot that are not grey, as its text and axes are."""
    with Image.open(path) as plot:
        pixels = np.array(plot.convert("RGB")).astype(int)
    return int((np.ptp(pixels, axis=2) > 20).sum())


def test_a_plot_shows_the_points(tmp_path: Path) -> None:
    """Every class is drawn in a colour of its own; more points are more colour."""
    points, labels = torch.randn(200, 16), torch.arange(200) % 8
    draw(points[:10], labels[:10], tmp_path / "few.png")
    draw(points, labels, tmp_path / "many.png")
    assert 100 < coloured(tmp_path / "few.png") < coloured(tmp_path / "many.png") / 4


@pytest.mark.parametrize(
    "points",
    [torch.randn(1, 16), torch.randn(2, 16), torch.zeros(5, 16)],
    ids=("one", "two", "one place"),
)
def test_a_plot_of_next_to_nothing(tmp_path: Path, points: Tensor) -> None:
    """One sample, two, or all in one place have a plot too."""
    draw(points, torch.zeros(len(points), dtype=torch.long), tmp_path / "plot.png")
    assert coloured(tmp_path / "plot.png") > 20


def test_components_are_the_principal_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Along the axis of most variance first, whatever the point of origin, with its share in the label."""
    from matplotlib.axes import Axes

    drawn: dict[str, np.ndarray] = {}
    labels: list[str] = []
    monkeypatch.setattr(Axes, "scatter", lambda self, x, y, **_: drawn.update(x=x, y=y))
    monkeypatch.setattr(Axes, "set_xlabel", lambda self, text: labels.append(text))
    points = torch.zeros(4, 8) + 5.0
    points[:, 3] += torch.tensor([-3.0, 3.0, 0.0, 0.0])
    points[:, 6] += torch.tensor([0.0, 0.0, -1.0, 1.0])
    draw(points, torch.arange(4), tmp_path / "plot.png")
    np.testing.assert_allclose(np.abs(drawn["x"]), [3, 3, 0, 0], atol=1e-5)
    np.testing.assert_allclose(np.abs(drawn["y"]), [0, 0, 1, 1], atol=1e-5)
    assert labels == ["1st principal component (90% of the variance)"]


def test_the_head_is_a_mean_over_the_map() -> None:
    """Where a feature is does not change the embedding."""
    head = _embedding.Head(4)
    features = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(head(features.roll(1, dims=3)), head(features))
