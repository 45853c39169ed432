"""One learning step: V-trace, losses, optimizer."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hxwrappers.errors import MALFORMED, CheckpointError
from hxwrappers.impala.correction import vtrace
from hxwrappers.impala.net import ImpalaNet
from hxwrappers.impala.optimizer import TensorFlowRMSprop
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.unrolls import Batch


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
