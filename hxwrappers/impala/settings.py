"""Settings of an IMPALA run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hxwrappers._utils.checks import plain_numbers, require_choice, require_count, require_range
from hxwrappers.errors import MALFORMED, CheckpointError, InvalidArgumentError


@dataclass(frozen=True)
class ImpalaSettings:
    """How IMPALA learns; the defaults are the paper's for Atari where it states them.

    Losses are summed over the batch, as published: with larger batches use a smaller learning
    rate.

    Attributes:
        num_actors: Processes that play.
        envs_per_actor: Environments that each of them steps side by side.
        unroll_length: Steps in one unroll.
        batch_size: Unrolls in one batch; a multiple of `envs_per_actor`.
        replay: Past batches that are learned from again for each new one, in the manner of the
            paper's runs with replay (section 5.2.2); V-trace corrects for the policy of then. 0
            learns from each once.
        replay_size: The newest batches that these are drawn from; 160 steps of 84x84 in four frames
            take 5 MB.
        net: "nature" (three convolutions), "shallow" and "residual" (the paper's), "small" (for
            images under 36 pixels), "mlp" (for vectors) or "auto".
        features: Width of the last layer below the heads or the LSTM; None for the net's own.
        lstm: Units of the LSTM, 0 for none.
        previous_inputs: Whether the net looks at the previous action and reward, too. Then only
            `hxwrappers.impala.play` and `Impala.play` can play it, since other players do not tell
            rewards.
        gamma: Discount.
        rho_bar: V-trace's limit of the ratios in the temporal differences.
        c_bar: V-trace's limit of the ratios in the traces.
        pg_rho_bar: V-trace's limit of the ratios in the policy gradient.
        lambda_: Factor on V-trace's traces.
        value_coef: Weight of the value loss, half the squared error.
        entropy_coef: Weight of the entropy bonus.
        reward_clipping: "none", "abs_one" (limited to -1 and 1) or "soft_asymmetric" (squashed to
            -1.5 and 5, the published code's for DMLab-30).
        optimizer: "rmsprop", as TensorFlow computes it, or "adam".
        learning_rate: At the start.
        learning_rate_schedule: "linear" falls to 0 over the run; or "constant".
        rmsprop_decay: Of the mean of squares.
        rmsprop_momentum: Momentum.
        epsilon: In the optimizer's divisor: added to the mean square inside the root for RMSProp
            (None is 0.01), to the root for Adam (None is 1e-8).
        max_grad_norm: Gradients are scaled down to this norm; infinite for never.
        precision: Of convolutions and the layer after them: "float32", "bfloat16", or "auto": on
            CPUs the faster of both, which is timed at the start for learner and actors apart; on
            GPUs bfloat16 where they multiply it.
        compile: Compile the net with torch.compile; it takes long and pays off on GPUs only.
        backend: "processes" on this machine, or "ray" for actors on a Ray cluster.
        ray_address: Of the cluster, or "auto" for the one of this machine; None takes that one too,
            or starts one where there is none.
        cpus_per_actor: What an actor reserves on a Ray cluster; fractions are fine.
        device: Where the learner computes: "auto", "cpu", "cuda", ...
        learner_threads: Threads of torch in the learner on a CPU; None is torch's own number less
            the actors on this machine, at least 1.
        seed: Seed of the weights, the actors' environments and their choices.
        checkpoint_every: Seconds between two checkpoints.
        log_every: Seconds between two rows of the log.
        actor_timeout: Seconds that an actor may be silent before it counts as dead.
        max_failures: An actor that dies so often without a single unroll in between ends the run.

    Raises:
        InvalidArgumentError: A setting out of its range.
    """

    num_actors: int = 2
    envs_per_actor: int = 8
    unroll_length: int = 20
    batch_size: int = 32
    replay: int = 0
    replay_size: int = 64
    net: str = "auto"
    features: int | None = None
    lstm: int = 0
    previous_inputs: bool = False
    gamma: float = 0.99
    rho_bar: float = 1.0
    c_bar: float = 1.0
    pg_rho_bar: float = 1.0
    lambda_: float = 1.0
    value_coef: float = 0.5
    entropy_coef: float = 0.01
    reward_clipping: Literal["none", "abs_one", "soft_asymmetric"] = "none"
    optimizer: Literal["rmsprop", "adam"] = "rmsprop"
    learning_rate: float = 6e-4
    learning_rate_schedule: Literal["linear", "constant"] = "linear"
    rmsprop_decay: float = 0.99
    rmsprop_momentum: float = 0.0
    epsilon: float | None = None
    max_grad_norm: float = 40.0
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False
    backend: Literal["processes", "ray"] = "processes"
    ray_address: str | None = None
    cpus_per_actor: float = 1.0
    device: str = "auto"
    learner_threads: int | None = None
    seed: int = 0
    checkpoint_every: float = 600.0
    log_every: float = 5.0
    actor_timeout: float = 300.0
    max_failures: int = 3

    def __post_init__(self) -> None:
        plain_numbers(self)
        counts = ("num_actors", "envs_per_actor", "unroll_length", "batch_size", "replay_size")
        for name in (*counts, "max_failures"):
            require_count(name, getattr(self, name), 1)
        for name in ("gamma", "lambda_", "rmsprop_decay"):
            require_range(name, getattr(self, name), minimum=0, maximum=1)
        for name in ("learning_rate", "max_grad_norm", "actor_timeout", "cpus_per_actor"):
            require_range(name, getattr(self, name), above=0)
        weights = ("value_coef", "entropy_coef", "c_bar", "pg_rho_bar", "rmsprop_momentum")
        for name in (*weights, "checkpoint_every", "log_every"):
            require_range(name, getattr(self, name), minimum=0)
        for name in ("replay", "lstm", "seed"):
            require_count(name, getattr(self, name))
        for name in ("features", "learner_threads"):
            if getattr(self, name) is not None:
                require_count(name, getattr(self, name), 1)
        if self.epsilon is not None:
            require_range("epsilon", self.epsilon, minimum=0)
        if not self.rho_bar >= self.c_bar:
            raise InvalidArgumentError(
                f"rho_bar is {self.rho_bar}; it must be at least c_bar, {self.c_bar}."
            )
        for name, kind in get_type_hints(type(self)).items():
            if get_origin(kind) is Literal:
                require_choice(name, getattr(self, name), get_args(kind))
        if self.batch_size % self.envs_per_actor:
            raise InvalidArgumentError(
                f"batch_size is {self.batch_size}, but must be a multiple of envs_per_actor, "
                f"{self.envs_per_actor}: an actor hands over one unroll of each environment."
            )

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ImpalaSettings:
        """Rebuild settings from what `dataclasses.asdict` gave.

        Raises:
            CheckpointError: It did not.
        """
        try:
            return cls(**state)
        except MALFORMED as error:
            raise CheckpointError(
                f"The settings in a checkpoint do not make sense here ({error}). Use a checkpoint "
                "written by this version of hxwrappers."
            ) from error
