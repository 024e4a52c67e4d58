"""Batches are moved as the loader gave them: what they are made of stays what it was."""

from __future__ import annotations

from collections import OrderedDict, UserDict, defaultdict, namedtuple
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from perfkit.errors import UsageError
from perfkit.training.batches import copied, mapped, split, to_device

META = torch.device("meta")
Pair = namedtuple("Pair", ["inputs", "targets"])


@dataclass(frozen=True)
class Frozen:
    inputs: torch.Tensor
    names: list[str]
    count: int = field(default=3, init=False)


class Graph:
    """Moves itself, as a graph library's batches do, and knows of a device alone."""

    def __init__(self, nodes: torch.Tensor) -> None:
        self.nodes = nodes

    def to(self, device: torch.device) -> Graph:
        return Graph(self.nodes.to(device))


class Opaque:
    def __init__(self) -> None:
        self.tensor = torch.zeros(1)


def moved(batch: Any) -> Any:
    return to_device(batch, META, non_blocking=True)


@pytest.mark.parametrize(
    "batch",
    [
        [torch.zeros(2), "text", 3, None],
        (torch.zeros(2), [torch.zeros(1)]),
        Pair(torch.zeros(2), {"x": torch.zeros(1)}),
        {"x": torch.zeros(2), "name": ["a"]},
        OrderedDict(x=torch.zeros(2)),
        UserDict(x=torch.zeros(2)),
        Frozen(torch.zeros(2), ["a"]),
        Graph(torch.zeros(2)),
    ],
    ids=lambda batch: type(batch).__name__,
)
def test_every_tensor_is_moved_and_every_container_kept(batch: Any) -> None:
    """In new containers of the same kind; the loader's own stay where they were."""
    found = moved(batch)
    assert type(found) is type(batch)
    devices: list[str] = []

    def note(part: Any) -> Any:
        devices.append((part.nodes if isinstance(part, Graph) else part).device.type)
        return part

    mapped(found, note)
    assert devices and set(devices) == {"meta"}
    devices.clear()
    mapped(batch, note)
    assert set(devices) == {"cpu"}


def test_what_is_no_container_stays() -> None:
    """Numbers, text, a class, an object without a `to`: nothing is looked for inside."""
    for part in ("text", 3, None, torch.Tensor, Opaque()):
        assert moved([part])[0] is part


def test_packed_sequences_move_themselves() -> None:
    """Their lengths stay on the CPU, where they have to be."""
    packed = pack_sequence([torch.zeros(3, 2), torch.zeros(1, 2)])
    found = moved((packed, torch.zeros(2)))[0]
    assert isinstance(found, PackedSequence)
    assert (found.data.device.type, found.batch_sizes.device.type) == ("meta", "cpu")


def test_a_dicts_own_ways_are_kept() -> None:
    """A defaultdict still has its factory."""
    batch = defaultdict(list, x=torch.zeros(1))
    assert moved(batch)["none"] == [] and "none" not in batch


def test_only_images_are_laid_out() -> None:
    """Tensors of four dimensions get the memory format, no other."""
    image, flat = torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4)
    found = to_device([image, flat], torch.device("cpu"), memory_format=torch.channels_last)
    assert found[0].is_contiguous(memory_format=torch.channels_last) and found[1] is flat


def test_a_copy_may_be_changed() -> None:
    """In place, too; what cannot be copied is what it was."""
    batch = {"x": torch.zeros(2)}
    copied(batch)["x"].add_(1)
    assert batch["x"].sum() == 0
    generator = (number for number in range(3))
    assert copied(generator) is generator


@pytest.mark.parametrize(
    ("batch", "says"),
    [
        ({"images": 1, "classes": 2}, "a dict with the keys images, classes"),
        ((1, 2, 3), "a tuple of 3"),
        (torch.zeros(2), "a Tensor"),
    ],
)
def test_what_is_no_pair_is_told_what_to_do(batch: Any, says: str) -> None:
    """It needs a step of its own."""
    assert split([1, 2]) == (1, 2)
    with pytest.raises(UsageError, match=says) as caught:
        split(batch)
    assert "step(model, batch)" in (caught.value.hint or "")
