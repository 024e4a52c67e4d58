"""FP32 with its arithmetic perturbed: how far losses may differ between two ways to round.

Every output of a layer is multiplied by 1 + u·r with r uniform in (−1, 1), and so is the gradient that
comes back to it. With u the relative rounding error of another arithmetic, the losses spread as far as that
arithmetic may carry them; a distance beyond is more than rounding.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from perfkit.training.batches import mapped


class Perturbation:
    """A context in which a model's layers are perturbed.

    A layer is a module without modules in it, and attention, which computes with its parts' weights itself.

    Args:
        size: the relative size u.
        seed: of the generators that nothing else draws from.
    """

    def __init__(self, model: nn.Module, size: float, seed: int) -> None:
        self._model = model
        self._size = size
        self._seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}
        self._handles: list[Any] = []

    def __enter__(self) -> Perturbation:
        inner: set[int] = set()
        for module in self._model.modules():
            attends = isinstance(module, nn.MultiheadAttention)
            if attends:
                inner |= {id(part) for part in module.modules() if part is not module}
            leaf = not any(True for _ in module.children())
            if id(module) not in inner and (leaf or attends):
                self._handles.append(module.register_forward_hook(self._forward))
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _forward(self, _module: nn.Module, _inputs: Any, outputs: Any) -> Any:
        return mapped(outputs, self._perturb)

    def _perturb(self, output: Any) -> Any:
        if isinstance(output, PackedSequence):
            return output._replace(data=self._perturb(output.data))
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return output
        # added and not multiplied: the gradient passes as it is, and has a draw of its own
        perturbed = output + output.detach() * self._noise(output)
        if perturbed.requires_grad:
            hook: Any = perturbed.register_hook
            hook(lambda gradient: gradient * (1 + self._noise(gradient)))
        return perturbed

    def _noise(self, like: Tensor) -> Tensor:
        generator = self._generators.get(like.device)
        if generator is None:
            generator = torch.Generator(like.device).manual_seed(self._seed)
            self._generators[like.device] = generator
        drawn = torch.empty_like(like, requires_grad=False)
        return drawn.uniform_(-self._size, self._size, generator=generator)
