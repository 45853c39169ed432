"""RMSProp as TensorFlow computes it, which is what the paper was made with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT


class TensorFlowRMSprop(Optimizer):
    """RMSProp whose mean square begins at 1 and whose epsilon is inside the root.

    `square = decay * square + (1 - decay) * gradient**2`, and the step is
    `rate * gradient / sqrt(square + epsilon)`. torch's own begins at 0 and adds epsilon to the
    root, so that its first steps are many times larger. With a momentum, the step is added to
    `momentum` times the one before.

    Source: `tf.train.RMSPropOptimizer`, used by the code published with Espeholt et al. 2018.

    Args:
        params: The parameters.
        lr: Learning rate.
        decay: Of the mean square.
        epsilon: Added to the mean square.
        momentum: Momentum.

    Example:
        >>> weight = torch.nn.Parameter(torch.tensor([1.0]))
        >>> optimizer = TensorFlowRMSprop([weight], lr=0.1, decay=0.75, epsilon=0.0)
        >>> weight.grad = torch.tensor([1.0])
        >>> optimizer.step()
        >>> weight.item()
        0.8999999761581421
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float,
        decay: float = 0.99,
        epsilon: float = 0.01,
        momentum: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "decay": decay, "epsilon": epsilon, "momentum": momentum}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Make a step along the gradients.

        Args:
            closure: Computes the gradients anew, if given.
        """
        if closure is not None:
            with torch.enable_grad():
                closure()
        for group in self.param_groups:
            self._step(group)

    def _step(self, group: dict[str, Any]) -> None:
        weights = [weight for weight in group["params"] if weight.grad is not None]
        if not weights:
            return
        gradients = [weight.grad for weight in weights]
        squares = [self._kept(weight, "square_avg", 1.0) for weight in weights]
        torch._foreach_mul_(squares, group["decay"])
        torch._foreach_addcmul_(squares, gradients, gradients, 1 - group["decay"])
        roots = torch._foreach_add(squares, group["epsilon"])
        torch._foreach_sqrt_(roots)
        if not group["momentum"]:
            torch._foreach_addcdiv_(weights, gradients, roots, -group["lr"])
            return
        moments = [self._kept(weight, "momentum_buffer", 0.0) for weight in weights]
        torch._foreach_mul_(moments, group["momentum"])
        torch._foreach_addcdiv_(moments, gradients, roots, group["lr"])
        torch._foreach_sub_(weights, moments)

    def _kept(self, weight: Tensor, name: str, first: float) -> Tensor:
        state = self.state[weight]
        if name not in state:
            state[name] = torch.full_like(weight, first)
        kept: Tensor = state[name]
        return kept
