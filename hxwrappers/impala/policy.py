"""Policies from checkpoints: the files of a run, loading, playing whole episodes."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium.vector import VectorEnv

from hxwrappers._utils.checks import brief, require_count, require_range
from hxwrappers.errors import (
    CheckpointError,
    HxWrappersError,
    InvalidArgumentError,
)
from hxwrappers.files import load_checkpoint, save_checkpoint
from hxwrappers.files import load_newest as newest_of
from hxwrappers.files.atomic import exclusive_lock
from hxwrappers.files.checkpoints import checkpoint_errors, limit_parameters
from hxwrappers.impala.layout import EnvSpec
from hxwrappers.impala.learner import load_net
from hxwrappers.impala.net import ImpalaNet
from hxwrappers.impala.reports import Episode
from hxwrappers.impala.sampler import NetPolicy, Sampler
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.unrolls import UnrollShape
from hxwrappers.runs.evaluation import MAX_STEPS, State


def play(
    env: VectorEnv,
    policy: NetPolicy,
    episodes: int,
    *,
    seed: int = 0,
    max_steps: int = MAX_STEPS,
    progress: Callable[[int, int], None] | None = None,
) -> list[Episode]:
    """Play episodes.

    Each environment plays the same number of them, so that short ones do not count more often.

    Args:
        env: The environments; they are not closed.
        policy: Chooses the actions.
        episodes: How many at least; rounded up to a multiple of the number of environments.
        seed: Seed of the first episodes.
        max_steps: Episodes are cut after so many steps.
        progress: Called with the number of finished episodes and of all, after each.

    Raises:
        InvalidArgumentError: Less than one episode, or than one step.
    """
    require_count("episodes", episodes, smallest=1)
    require_count("max_steps", max_steps, smallest=1)
    each = -(-episodes // env.num_envs)
    lstm = policy.initial_state(1).shape[-1]
    spec = EnvSpec.of(env)
    inputs = spec.inputs(policy.needs_previous)
    step = UnrollShape(inputs, 1, env.num_envs, lstm, spec.actions).allocate()
    counts = np.zeros(env.num_envs, dtype=np.int64)
    played: list[Episode] = []
    wanted = each * env.num_envs

    def note(episode: Episode) -> None:
        if counts[episode.lane] == each:
            return
        counts[episode.lane] += 1
        played.append(episode)
        if progress is not None:
            progress(len(played), wanted)

    first_seed: int | None = seed
    while len(played) < wanted:
        sampler, first_seed = Sampler(env, policy, first_seed), None
        # Vectors cannot begin one episode anew. So what follows a cut is left out, until that
        # episode is over or nobody plays one that counts, when all are reset.
        waits = np.zeros(env.num_envs, dtype=np.bool_)
        while not (waits | (counts == each)).all():
            sampler.fill(step)
            for episode in sampler.watch.report(0).episodes:
                if not waits[episode.lane]:
                    note(episode)
                waits[episode.lane] = False
            for episode in sampler.watch.running(max_steps):
                if not waits[episode.lane]:
                    note(episode)
                waits[episode.lane] = True
    return played


KIND = "Impala"
KEPT = 2
LOCK = ".training.lock"


def exclusive_run(folder: Path) -> AbstractContextManager[None]:
    """Keep other processes from training in a folder, until the end of this one at the latest.

    Raises:
        CheckpointError: Another one trains there.
        FileWriteError: The folder cannot be written to.
    """
    refusal = (
        f"Another process is training in {folder}. Wait for its end, or choose another folder."
    )
    return exclusive_lock(folder / LOCK, CheckpointError(refusal))


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, the newest last."""
    return sorted(folder.glob("checkpoint-*.safetensors"))


def save_numbered(folder: Path, steps: int, state: Mapping[str, Any]) -> Path:
    """Write a checkpoint and then remove all but the last two."""
    path = folder / f"checkpoint-{steps:012d}.safetensors"
    save_checkpoint(path, KIND, state)
    for old in checkpoints(folder)[:-KEPT]:
        old.unlink(missing_ok=True)
    return path


def load_newest(path: Path) -> dict[str, Any]:
    """Load a checkpoint, or the newest in a folder that can be read.

    Raises:
        CheckpointError: There is none, or none can be read.
    """
    if path.is_file():
        return load_checkpoint(path, KIND)
    found = checkpoints(path)
    if not found:
        raise CheckpointError(f"There is no checkpoint of IMPALA at {path}.")
    return newest_of(found[::-1], KIND)


class Policy:
    """A trained policy.

    Make one with `load_policy`.

    Args:
        net: The net.
        spec: The environments that it was made for.
        environment: The environment's recipe, see `hxwrappers.envs.make_from_recipe`; empty where
            the run was not told.
        num_timesteps: Steps that it learned from.
        deterministic: Take the most probable actions instead of drawing them.
        seed: Seed of the draws; None draws from torch's own generator.

    Attributes:
        spec: The environments that it was made for.
        environment: The recipe.
        num_timesteps: Steps that it learned from.
        acting: The policy in the form that `hxwrappers.impala.play` takes.
    """

    def __init__(
        self,
        net: ImpalaNet,
        spec: EnvSpec,
        environment: Mapping[str, Any],
        num_timesteps: int,
        deterministic: bool,
        seed: int | None,
    ) -> None:
        self.spec, self.num_timesteps = spec, num_timesteps
        self.environment = dict(environment)
        self.acting = NetPolicy(net, seed=seed, deterministic=deterministic)

    algorithm = "IMPALA"

    @property
    def temperature(self) -> float:
        """The number that divides the logits, 1 unless it is set."""
        return self.acting.temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        require_range("temperature", value, above=0)
        self.acting.temperature = float(value)

    def act(
        self,
        observations: Any,
        state: npt.NDArray[np.float32] | None = None,
        episode_starts: npt.NDArray[np.bool_] | None = None,
    ) -> tuple[npt.NDArray[Any], npt.NDArray[np.float32]]:
        """Choose actions for a batch of observations.

        Args:
            observations: As a vector environment of the same spaces returns them.
            state: What the call before returned; None at the very beginning.
            episode_starts: Which observations are the first of their episodes, bool, `(N,)`; None
                for none of them. Their states are cleared.

        Returns:
            The actions, as the environment takes them, shape `(N, ...)`, and the recurrent state
            for the next call.

        Raises:
            InvalidArgumentError: Observations of other shapes than those it was made for.
            InvalidArgumentError: It was trained with `previous_inputs`.
        """
        if self.acting.needs_previous:
            raise InvalidArgumentError(
                "The policy was trained with previous_inputs: it looks at rewards, which are not "
                "told here. Play it by hxwrappers.impala.play(env, policy.acting, episodes)."
            )
        parts = self.spec.layout.split(observations)
        for part in self.spec.layout.parts:
            if parts[part.name].shape[1:] != part.shape:
                raise InvalidArgumentError(
                    f"Observations of shape {parts[part.name].shape} came for {part.name!r}, but "
                    f"the policy was made for (batch, {', '.join(map(str, part.shape))})."
                )
        count = len(parts[self.spec.layout.parts[0].name])
        if state is None:
            state = self.acting.initial_state(count)
        if episode_starts is None:
            episode_starts = np.zeros(count, dtype=np.bool_)
        actions, _, state = self.acting.act(parts, np.asarray(episode_starts, np.bool_), state)
        return self.spec.actions.for_env(actions), state

    def predict(
        self,
        observations: Any,
        state: State = None,
        episode_starts: npt.NDArray[np.bool_] | None = None,
        deterministic: bool = False,
    ) -> tuple[npt.NDArray[Any], State]:
        """Choose actions in the way of Stable-Baselines3, which `hxwrappers.runs.evaluate` takes.

        Args:
            observations: As for `act`.
            state: What the call before returned; None at the very beginning.
            episode_starts: As for `act`.
            deterministic: Take the most probable actions.
        """
        before, self.acting.deterministic = self.acting.deterministic, deterministic
        stacked = None if state is None else np.concatenate(state)
        try:
            actions, stacked = self.act(observations, stacked, episode_starts)
        finally:
            self.acting.deterministic = before
        return actions, (stacked[:1], stacked[1:])

    def require_fit(self, env: gym.Env[Any, Any]) -> None:
        """Refuse an environment that is not one for this policy.

        Raises:
            InvalidArgumentError: Its spaces differ from the policy's.
        """
        found = EnvSpec.of_spaces(env.observation_space, env.action_space, 1)
        if found[:2] != self.spec[:2]:
            raise InvalidArgumentError(
                f"The policy was made for {self.spec[:2]}, but its environment has {found[:2]}."
            )


def load_policy(
    path: str | os.PathLike[str], *, deterministic: bool = False, seed: int | None = 0
) -> Policy:
    """Load the policy of a checkpoint, to play on the CPU.

    Args:
        path: A checkpoint of `Impala`, or the folder of a run, whose newest is taken.
        deterministic: Take the most probable actions; the paper draws them.
        seed: Seed of the draws; None draws from torch's own generator.

    Raises:
        CheckpointError: There is none there, it is damaged, or it is another trainer's.
    """
    state = load_newest(Path(path))
    with checkpoint_errors(f"{path} is incomplete"):
        spec = EnvSpec.from_state(state["spec"])
        settings = ImpalaSettings.from_state(state["settings"])
        environment = dict(state["environment"])
        steps, learner = int(state["num_timesteps"]), state["learner"]
    net = _net(spec, settings, learner, path)
    return Policy(net, spec, environment, steps, deterministic, seed)


def _net(
    spec: EnvSpec, settings: ImpalaSettings, learner: Any, path: str | os.PathLike[str]
) -> ImpalaNet:
    try:
        with limit_parameters(learner):
            net = ImpalaNet.of(spec, settings, "float32")
        load_net(net, learner)
    except HxWrappersError:
        raise
    except Exception as error:  # whatever torch raises for sizes that are none
        raise CheckpointError(f"{path} holds no net that can be built ({brief(error)}).") from error
    return net
