"""The learner: V-trace, losses, RMSProp as TensorFlow computes it.

Source: Espeholt et al. 2018, IMPALA (arXiv 1802.01561), section 4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import ParamsT

from hxwrappers.errors import MALFORMED, CheckpointError, InvalidArgumentError
from hxwrappers.impala.net import ImpalaNet
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.unrolls import Batch


class VTrace(NamedTuple):
    """What V-trace makes of an unroll.

    Attributes:
        targets: What the values should be, shape `(T, N)`; the value itself in invalid rows.
        advantages: The policy gradient's weights, shape `(T, N)`; 0 in invalid rows.
    """

    targets: Tensor
    advantages: Tensor


@torch.no_grad()
def vtrace(
    log_rhos: Tensor,
    rewards: Tensor,
    values: Tensor,
    terminated: Tensor,
    truncated: Tensor,
    final_values: Tensor,
    valid: Tensor | None = None,
    *,
    gamma: float,
    lambda_: float = 1.0,
    rho_bar: float = 1.0,
    c_bar: float = 1.0,
    pg_rho_bar: float = 1.0,
) -> VTrace:
    """Compute the targets `vs` and the advantages of unrolls of T steps in N environments.

    The target of a row is `V(x_t)` plus the discounted sum of `rho * delta` over the rest of its
    episode, each term weighted by the product of the `c` before it. The advantage is
    `rho * (r_t + gamma * vs_{t+1} - V(x_t))`. A termination has no value after it; a truncation
    has the value of its final observation; nothing crosses either of them.

    Args:
        log_rhos: Logarithm of the current policy's probability of each action over that of the
            policy that took it, shape `(T, N)`, a floating dtype that the result shares.
        rewards: Shape `(T, N)`.
        values: The value of each observation and of the one after the last, shape `(T + 1, N)`.
        terminated: Which steps ended an episode for good, bool, `(T, N)`.
        truncated: Which steps cut an episode off, bool, `(T, N)`.
        final_values: The value of the observation that a truncated step led to, `(T, N)`; read
            nowhere else.
        valid: Which rows are steps of the environment, bool, `(T, N)`; the others, such as the
            one in which NEXT_STEP autoreset ignores the action, teach nothing. None: all are. The
            row before an invalid one must end an episode, or be invalid itself.
        gamma: Discount, 0 to 1.
        lambda_: Factor on each `c`, 0 to 1.
        rho_bar: Upper limit of the ratios in the temporal differences, which decides whose value
            function is learned; may be infinite.
        c_bar: Upper limit of the ratios in the products, at most `rho_bar`.
        pg_rho_bar: Upper limit of the ratio in the advantages; may be infinite.

    Raises:
        InvalidArgumentError: Shapes that do not fit together, or a parameter out of its range.

    Example:
        >>> zeros, no = torch.zeros(2, 1), torch.zeros(2, 1, dtype=torch.bool)
        >>> rewards, values = torch.tensor([[1.0], [2.0]]), torch.tensor([[0.0], [1.0], [4.0]])
        >>> vtrace(zeros, rewards, values, no, no, zeros, gamma=0.5).targets.flatten().tolist()
        [3.0, 4.0]
    """
    if valid is None:
        valid = torch.ones_like(terminated)
    _check(log_rhos, rewards, values, terminated, truncated, final_values, valid)
    if not (0 <= gamma <= 1 and 0 <= lambda_ <= 1):
        raise InvalidArgumentError(f"gamma is {gamma}, lambda_ {lambda_}; both must be in [0, 1].")
    if not 0 <= c_bar <= rho_bar or pg_rho_bar < 0:
        raise InvalidArgumentError(
            f"rho_bar is {rho_bar}, c_bar {c_bar}, pg_rho_bar {pg_rho_bar}; none may be negative, "
            "and c_bar must not exceed rho_bar."
        )
    ratios = log_rhos.exp()
    goes_on = ~(terminated | truncated)
    next_values = torch.where(truncated, final_values, values[1:]).masked_fill(terminated, 0)
    deltas = ratios.clamp(max=rho_bar) * (rewards + gamma * next_values - values[:-1]) * valid
    traces = gamma * lambda_ * ratios.clamp(max=c_bar) * goes_on * valid
    corrections = torch.zeros_like(values)
    for row in range(len(rewards) - 1, -1, -1):
        corrections[row] = deltas[row] + traces[row] * corrections[row + 1]
    targets = values + corrections
    next_targets = torch.where(goes_on, targets[1:], next_values)
    advantages = ratios.clamp(max=pg_rho_bar) * (rewards + gamma * next_targets - values[:-1])
    return VTrace(targets[:-1], advantages * valid)


def _check(log_rhos: Tensor, rewards: Tensor, values: Tensor, *others: Tensor) -> None:
    shape = log_rhos.shape
    if values.shape != (shape[0] + 1, *shape[1:]):
        raise InvalidArgumentError(
            f"values has shape {tuple(values.shape)}, but for log_rhos of shape {tuple(shape)} it "
            "needs one more row, the value of the observation after the last step."
        )
    for tensor in (rewards, *others):
        if tensor.shape != shape:
            raise InvalidArgumentError(
                f"An argument has shape {tuple(tensor.shape)}, but log_rhos has {tuple(shape)}; "
                "all but values must have the same."
            )


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
    def step(self) -> None:  # type: ignore[override]
        """Make a step along the gradients."""
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


def clip_rewards(rewards: Tensor, how: str) -> Tensor:
    """Limit rewards.

    Args:
        rewards: Any shape.
        how: "none", "abs_one" (to -1 and 1) or "soft_asymmetric" (`5 tanh(r / 5)`, and 0.3 of that
            for negative ones, as the code published with Espeholt et al. 2018 has it; the paper
            itself prints `0.3 min(tanh(r), 0) + 5 max(tanh(r), 0)`).

    Example:
        >>> clip_rewards(torch.tensor([-100.0, 0.5, 100.0]), "soft_asymmetric").tolist()
        [-1.5, 0.4983..., 5.0]
    """
    if how == "abs_one":
        return rewards.clamp(-1, 1)
    if how == "soft_asymmetric":
        squashed = 5 * (rewards / 5).tanh()
        return torch.where(rewards < 0, 0.3 * squashed, squashed)
    return rewards


class Learner:
    """Learns from batches of unrolls.

    Args:
        net: The net; its parameters are changed in place.
        settings: How to learn.

    Attributes:
        net: The net.
    """

    def __init__(self, net: ImpalaNet, settings: ImpalaSettings) -> None:
        self.net = net.train()
        self._settings = settings
        self._optimizer = _optimizer(net, settings)
        self._look = torch.compile(net) if settings.compile else net

    def learn(self, batch: Batch, progress: float) -> dict[str, float]:
        """Make one step of the optimizer.

        Args:
            batch: Unrolls on the net's device.
            progress: The share of the run that is over, 0 to 1, for the learning rate.

        Returns:
            Figures for the log; losses and entropy as means over the valid rows.
        """
        settings = self._settings
        rate = settings.learning_rate
        if settings.learning_rate_schedule == "linear":
            rate *= max(0.0, 1 - progress)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        logits, values, _ = self._look(batch.observations, batch.starts, batch.state)
        log_pis = self.net.actions.log_probabilities(logits[:-1], batch.actions)
        log_rhos = log_pis.detach() - batch.log_mus
        seen = values.detach()
        wanted = vtrace(
            log_rhos,
            clip_rewards(batch.rewards, settings.reward_clipping),
            seen,
            batch.terminated,
            batch.truncated,
            torch.where(batch.starts[1:], batch.final_values, seen[1:]),
            batch.valid,
            gamma=settings.gamma,
            lambda_=settings.lambda_,
            rho_bar=settings.rho_bar,
            c_bar=settings.c_bar,
            pg_rho_bar=settings.pg_rho_bar,
        )
        policy_loss = -(log_pis * wanted.advantages).sum()
        value_loss = 0.5 * ((wanted.targets - values[:-1]).square() * batch.valid).sum()
        entropies = self.net.actions.entropies(logits[:-1])
        entropy = (entropies * batch.valid).sum()
        loss = policy_loss + settings.value_coef * value_loss - settings.entropy_coef * entropy
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.net.parameters(), settings.max_grad_norm)
        if not math.isfinite(float(norm)):
            # A single such step would ruin the net for good.
            return {"skipped_updates": 1.0}
        self._optimizer.step()
        rows = max(float(batch.valid.sum()), 1.0)
        figures = {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": entropy,
            "value": (seen[:-1] * batch.valid).sum(),
            "rho": (log_rhos.exp() * batch.valid).sum(),
        }
        return {name: float(figure.detach()) / rows for name, figure in figures.items()} | {
            "grad_norm": float(norm),
            "learning_rate": rate,
            "skipped_updates": 0.0,
        }

    def state_dict(self) -> dict[str, Any]:
        """The net and the optimizer."""
        return {"net": self.net.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave, and go on with the settings given here.

        Raises:
            CheckpointError: It belongs to another net, and nothing was changed; or to another
                optimizer.
        """
        load_net(self.net, state)
        try:
            self._load_optimizer(state["optimizer"])
        except MALFORMED as error:
            raise CheckpointError(
                f"The optimizer in the checkpoint does not fit ({error}). Resume with the same "
                "optimizer."
            ) from error

    def _load_optimizer(self, state: Mapping[str, Any]) -> None:
        (group,) = state["param_groups"]
        found = "adam" if "betas" in group else "rmsprop"
        if found != self._settings.optimizer:
            raise ValueError(f"it is {found}, not {self._settings.optimizer}")
        # The settings are those given now, not those of the run before.
        settings = self._optimizer.defaults | {"params": group["params"]}
        self._optimizer.load_state_dict({"state": state["state"], "param_groups": [settings]})


def load_net(net: ImpalaNet, state: Mapping[str, Any]) -> None:
    """Load a learner's net.

    Raises:
        CheckpointError: It is another net's.
    """
    weights = state.get("net")
    own = {name: weight.shape for name, weight in net.state_dict().items()}
    if not isinstance(weights, Mapping) or own != {
        name: getattr(weight, "shape", None) for name, weight in weights.items()
    }:
        raise CheckpointError(
            "The checkpoint is of another net: its weights have other names or shapes. Use the "
            "same environment and the settings net, features, lstm and previous_inputs that it was "
            "made with."
        )
    net.load_state_dict(dict(weights))


def _optimizer(net: ImpalaNet, settings: ImpalaSettings) -> torch.optim.Optimizer:
    rate = settings.learning_rate
    if settings.optimizer == "adam":
        epsilon = 1e-8 if settings.epsilon is None else settings.epsilon
        return torch.optim.Adam(net.parameters(), rate, eps=epsilon)
    return TensorFlowRMSprop(
        net.parameters(),
        rate,
        settings.rmsprop_decay,
        0.01 if settings.epsilon is None else settings.epsilon,
        settings.rmsprop_momentum,
    )
