"""V-trace: value targets and advantages from unrolls of an older policy.

Source: Espeholt et al. 2018, IMPALA (arXiv 1802.01561), section 4.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from hxwrappers.errors import InvalidArgumentError


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
    deltas = ratios.clamp(max=rho_bar) * (rewards + gamma * next_values - values[:-1])
    traces = gamma * lambda_ * ratios.clamp(max=c_bar) * goes_on
    if valid is not None:
        deltas = deltas * valid
        traces = traces * valid
    corrections = torch.zeros_like(values)
    for row in range(len(rewards) - 1, -1, -1):
        corrections[row] = deltas[row] + traces[row] * corrections[row + 1]
    targets = values + corrections
    next_targets = torch.where(goes_on, targets[1:], next_values)
    advantages = ratios.clamp(max=pg_rho_bar) * (rewards + gamma * next_targets - values[:-1])
    if valid is not None:
        advantages = advantages * valid
    return VTrace(targets[:-1], advantages)


def _check(log_rhos: Tensor, rewards: Tensor, values: Tensor, *others: Tensor | None) -> None:
    shape = log_rhos.shape
    if values.shape != (shape[0] + 1, *shape[1:]):
        raise InvalidArgumentError(
            f"values has shape {tuple(values.shape)}, but for log_rhos of shape {tuple(shape)} it "
            "needs one more row, the value of the observation after the last step."
        )
    for tensor in (rewards, *others):
        if tensor is not None and tensor.shape != shape:
            raise InvalidArgumentError(
                f"An argument has shape {tuple(tensor.shape)}, but log_rhos has {tuple(shape)}; "
                "all but values must have the same."
            )
