"""The optimizers of a training: one or several, and how each is brought back to where it began."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from perfkit.errors import UsageError


def as_tuple(made: Any) -> tuple[Any, ...]:
    """Return what a workload's `optimizer` gave, one optimizer or several, as a tuple.

    Raises:
        UsageError: it is neither, or an optimizer that cannot step without a closure.
    """
    several = tuple(made) if isinstance(made, (list, tuple)) else (made,)
    for one in several:
        if not (callable(getattr(one, "step", None)) and callable(getattr(one, "zero_grad", None))):
            raise UsageError(
                f"the workload's optimizer gave a {type(one).__name__}, which is no optimizer",
                hint="it should return a torch.optim.Optimizer, or a list of them",
            )
        if _wants_a_closure(one):
            raise UsageError(
                f"{type(one).__name__} computes the loss again and again within one step, by a closure;"
                " perfkit's loop computes it once, and would time another training",
                hint="perfkit run -- python YOUR_SCRIPT.py measures it in your own loop",
            )
    if not several:
        raise UsageError("the workload's optimizer gave an empty list")
    return several


def _wants_a_closure(optimizer: Any) -> bool:
    """Whether its step cannot be called without one, as L-BFGS's."""
    try:
        parameters = inspect.signature(optimizer.step).parameters
    except (TypeError, ValueError):
        return False
    closure = parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


class Beginning:
    """The state of optimizers as it is now, before their first step, to be gone back to.

    Everything that an optimizer holds is part of it, also the optimizers inside one (a lookahead's, a
    switch's) and what those keep outside their `state`. Parameters and modules stay the ones there are.

    Raises:
        Exception: whatever copying raises where an optimizer holds something that cannot be copied.
    """

    def __init__(self, optimizers: Iterable[Any], modules: Iterable[nn.Module]) -> None:
        self._optimizers = list(_with_inner(list(optimizers), set()))
        self._kept: dict[int, Any] = {id(one): one for one in self._optimizers}
        for module in modules:
            for part in module.modules():
                self._kept[id(part)] = part
            for tensor in (*module.parameters(), *module.buffers()):
                self._kept[id(tensor)] = tensor
        for one in self._optimizers:
            # what hooks refer to (an average of the weights, say) is not the optimizer's
            self._kept |= {id(v): v for name, v in vars(one).items() if name.endswith("_hooks")}
            for group in getattr(one, "param_groups", ()):
                self._kept |= {id(p): p for p in group["params"] if isinstance(p, Tensor)}
        # together, so that what two of them share is shared in the copy
        self._states = self._copy([vars(one) for one in self._optimizers])

    def restore(self) -> None:
        """Give every optimizer back what it held."""
        for one, state in zip(self._optimizers, self._copy(self._states), strict=True):
            vars(one).clear()
            vars(one).update(state)

    def _copy(self, states: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return copy.deepcopy(states, dict(self._kept))


def _with_inner(value: Any, seen: set[int]) -> Iterator[Any]:
    """Yield a list's or an object's optimizers, and those that they hold."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, (list, tuple)):
        for part in value:
            yield from _with_inner(part, seen)
    elif isinstance(value, dict):
        for part in value.values():
            yield from _with_inner(part, seen)
    elif isinstance(value, Optimizer) or hasattr(value, "zero_grad"):
        if isinstance(value, nn.Module):
            return
        yield value
        for part in vars(value).values():
            yield from _with_inner(part, seen)
