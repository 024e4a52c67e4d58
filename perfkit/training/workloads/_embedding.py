"""What the built-in workloads share: an embedding head, its loss, and what runs between epochs.

The network maps an image to a unit vector; the loss is a softmax over the cosines to one learned
direction per class (NormFace, Wang et al. 2017, arXiv:1704.06369).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from perfkit.config import RunConfig
from perfkit.training.workload import Epoch, Periodic, Setting, Workload
from perfkit.training.workloads import _files
from perfkit.training.workloads._images import Samples, datasets

EMBEDDING = 128
SCALE = 16.0
"""Cosines times this are the logits: large enough that a softmax over some dozen classes can be sure."""
WEIGHT_DECAY = 0.05
SETTINGS = (
    Setting(
        "data",
        "jpeg",
        "jpeg (generated once into the cache), folder:PATH (class folders of images) or memory (generated and"
        " decoded already: what training costs when loading costs nothing).",
    ),
    Setting(
        "eval_samples",
        256,
        "Images of one evaluation; a folder is evaluated as a whole.",
        least=1,
        changes_training=False,
    ),
    Setting(
        "image_size",
        32,
        "Side of the square that images are cropped to, pixels.",
        least=_files.SMALLEST_SIDE,
    ),
    Setting(
        "metrics_every",
        10,
        "Epochs between separation metrics; 0 never.",
        least=0,
        changes_training=False,
    ),
    Setting(
        "viz_every", 50, "Epochs between embedding plots; 0 never.", least=0, changes_training=False
    ),
)
"""Those of every workload on these images."""
OF_A_NETWORK = (
    Setting(
        "base_channels", 64, "Channels of the first stage; each later one doubles them.", least=1
    ),
    Setting("num_blocks", 4, "Blocks per stage.", least=1),
)
"""Those of the networks of ours."""


class Head(nn.Module):
    """Feature maps (N, C, H, W) to unit vectors (N, 128): mean over the map, LayerNorm, projection."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)
        self.project = nn.Linear(channels, EMBEDDING)

    def forward(self, features: Tensor) -> Tensor:
        return functional.normalize(self.project(self.norm(features.mean((2, 3)))), dim=1)


class CosineSoftmax(nn.Module):
    """Cross-entropy of scaled cosines between embeddings and learned class directions."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.directions = nn.Parameter(torch.randn(classes, EMBEDDING) / EMBEDDING**0.5)

    def logits(self, embeddings: Tensor) -> Tensor:
        """Return (N, classes)."""
        return SCALE * functional.linear(embeddings, functional.normalize(self.directions, dim=1))

    def forward(self, embeddings: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(self.logits(embeddings), labels)


def workload(config: RunConfig, model: nn.Module) -> Workload:
    """Train `model`, images to embeddings, on the images that the configuration names."""
    train, held_out, classes = datasets(config)
    loss = CosineSoftmax(classes)
    periodic = [Periodic(name="metrics", every=config.count_of("metrics_every"), run=_metrics)]
    viz_every = config.count_of("viz_every")
    if viz_every:
        # here and not when it is drawn: the import would be timed as part of the plot
        import matplotlib.backends.backend_agg
        import matplotlib.figure  # noqa: F401

        periodic.append(Periodic(name="visualisation", every=viz_every, run=_draw))
    return Workload(
        model=model,
        loss=loss,
        optimizer=partial(torch.optim.AdamW, lr=config.learning_rate, weight_decay=WEIGHT_DECAY),
        dataset=train,
        evaluate=partial(_evaluate, loss, held_out),
        periodic=tuple(periodic),
    )


def _evaluate(loss: CosineSoftmax, held_out: Samples, epoch: Epoch) -> Mapping[str, Any]:
    """Embed the evaluation set: embeddings (N, 128) float32 and labels (N,) on the CPU, loss, accuracy."""
    embeddings, labels, losses, hits = [], [], [], []
    epoch.model.eval()
    try:
        with torch.inference_mode(), epoch.autocast():
            for images, classes in epoch.loader(held_out):
                targets = classes.to(epoch.device)
                embedded = epoch.model(images.to(epoch.device))
                logits = loss.logits(embedded)
                losses.append(functional.cross_entropy(logits, targets, reduction="none").float())
                hits.append(logits.argmax(1) == targets)
                embeddings.append(embedded.float())
                labels.append(classes)
    finally:
        epoch.model.train()
    return {
        "embeddings": torch.cat(embeddings).cpu(),
        "labels": torch.cat(labels),
        "loss": float(torch.cat(losses).mean()),
        "accuracy": float(torch.cat(hits).float().mean()),
    }


def _metrics(epoch: Epoch) -> None:
    epoch.results["separation"] = separation(epoch.results["embeddings"], epoch.results["labels"])


def separation(embeddings: Tensor, labels: Tensor) -> dict[str, float]:
    """How well embeddings (N, D) lie together by class (N,).

    `within` and `between` are mean Euclidean distances of pairs of one class and of two; the silhouette
    is the mean of (b − a) ÷ max(a, b), with a a sample's mean distance to its own class, b the one to
    the nearest other, and 0 for a class of one (Rousseeuw 1987, doi:10.1016/0377-0427(87)90125-7).
    A mean over nothing is NaN, and so is the silhouette of a single class.
    """
    # by a matrix product a sample would lie some 1e-3 from itself
    exact = "donot_use_mm_for_euclid_dist"
    distances = torch.cdist(embeddings, embeddings, compute_mode=exact)
    present, own = labels.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    same = own[:, None] == own[None, :]
    others = same & ~torch.eye(len(labels), dtype=torch.bool)
    members = functional.one_hot(own, len(present)).to(distances.dtype)
    sums = distances @ members
    counts = members.sum(0)
    to_own = sums.gather(1, own[:, None])[:, 0] / (counts[own] - 1).clamp(min=1)
    to_others = (sums / counts).masked_fill(members.bool(), torch.inf).min(1).values
    larger = torch.maximum(to_others, to_own)
    apart = (counts[own] > 1) & (larger > 0)
    silhouette = torch.where(apart, (to_others - to_own) / larger, 0.0)
    return {
        "within": float(distances[others].mean()),
        "between": float(distances[~same].mean()),
        "silhouette": float(silhouette.mean()) if len(present) > 1 else math.nan,
    }


def _draw(epoch: Epoch) -> None:
    draw(
        epoch.results["embeddings"], epoch.results["labels"], Path(epoch.folder) / "embeddings.png"
    )


def draw(embeddings: Tensor, labels: Tensor, path: Path) -> None:
    """Scatter embeddings (N, D) by their two principal components, a colour per class, into a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    centred = embeddings - embeddings.mean(0)
    # a row of zeros changes no component, and of a single sample there are two then
    _, spread, axes = torch.linalg.svd(functional.pad(centred, (0, 0, 0, 1)), full_matrices=False)
    points = (centred @ axes[:2].T).numpy()
    variances = spread**2
    shares = (variances / variances.sum().clamp(min=1e-30))[:2].tolist()
    figure = Figure(figsize=(6, 5), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    plot = figure.add_subplot()
    plot.scatter(points[:, 0], points[:, 1], c=labels.numpy(), cmap="turbo", s=14, alpha=0.8)
    plot.set_title(f"Embeddings of {len(points)} images, {len(set(labels.tolist()))} classes")
    plot.set_xlabel(f"1st principal component ({shares[0]:.0%} of the variance)")
    plot.set_ylabel(f"2nd principal component ({shares[1]:.0%})")
    figure.savefig(path)
