"""Atari games side by side whose episodes start inside a demonstration."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv

from hxwrappers._utils.checks import require_count
from hxwrappers.bridge.environments import AnyVectorWrapper, reset_lanes
from hxwrappers.bridge.shared_tracker import DemoLike, TrackerHolder, find_tracker
from hxwrappers.curriculum import AttemptSettings, StartingPoint, SuccessTracker
from hxwrappers.curriculum.attempt import Attempt, AttemptStatus
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.generators import own_generator

_OWNER = "DemoResetCurriculum"


class DemoResetCurriculum(TrackerHolder, AnyVectorWrapper, gym.utils.RecordConstructorArgs):
    """Starts episodes of Atari games inside a demonstration, earlier as the agent succeeds.

    The form of `hxwrappers.DemoResetCurriculum` for games that can be restored,
    `make_atari(..., num_envs=..., backend="restorable")`. It is faster, since it sits outside the
    frame skip and restores states that it has kept. The rules are the same (Salimans and Chen 2018,
    arXiv 1812.03381), in emulator frames, of which each of the agent's steps is as many as the
    frame skip. Frames that fill the stack are the demonstration's. There is no replay for recurrent
    policies, and the luck of sticky actions is the games' own.

    Episodes begin anew in the step in which they end (`AutoresetMode.SAME_STEP`). Games that were
    made with `autoreset_mode="Disabled"` are not reset for nothing before they are restored. A lost
    life ends an episode where the games were made with `terminal_on_life_loss=True`, as published.

    Infos hold `starting_point`, `demo` and `near_start` as in the single form, and at an episode's
    end `is_success`, `attempt` and `episode` with the score since its start. The first three are
    then those of the episode that begins, and `final_info` holds all of the one that has ended.

    Args:
        env: The games, with rewards as they are: clip them outside.
        demo: A demonstration recorded frame by frame or the path of its file, or several of them.
        tracker: The tracker, where several vectors share one, or the path of its file.
        allowed_lag: See `AttemptSettings`; in emulator frames, like the next.
        extra_steps: See `AttemptSettings`.
        score_tolerance: See `AttemptSettings`.
        success_at: See `AttemptSettings`.
        shrink_bound: See `AttemptSettings`.
        near_start_steps: How many of the agent's first frames are flagged in `near_start`.
        training: False steps aside: plain episodes from the true start.
        **frontier: Fields of `FrontierSettings`, for a tracker made here.

    Attributes:
        tracker: The success table.
        training: Whether episodes start inside the demonstration. After a change call `reset`.

    Raises:
        InvalidArgumentError: The games cannot be restored, or there is something around them.
        InvalidArgumentError: An argument is out of range.
        DemoError: The demonstration is of another game, or was not recorded frame by frame.

    Example:
        >>> from hxwrappers.demos import shipped
        >>> from hxwrappers.envs import make_atari
        >>> games = make_atari("montezuma_revenge", num_envs=4, backend="restorable",
        ...                    num_workers=0, autoreset_mode="Disabled",
        ...                    terminal_on_life_loss=True)
        >>> envs = DemoResetCurriculum(games, shipped("montezuma-first-key"), window=32)
        >>> _, infos = envs.reset(seed=0)
        >>> bool((infos["starting_point"] >= 388).all()), infos["starting_point"].shape
        (True, (4,))
    """

    def __init__(
        self,
        env: VectorEnv,
        demo: DemoLike | Sequence[DemoLike],
        tracker: SuccessTracker | str | os.PathLike[str] | None = None,
        allowed_lag: int | None = 50,
        extra_steps: float | None = 7.0,
        score_tolerance: float = 0.0,
        success_at: str | None = None,
        near_start_steps: int = 100,
        training: bool = True,
        shrink_bound: bool = False,
        **frontier: Any,
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(
            self,
            _disable_deepcopy=True,  # a demonstration may be large
            demo=demo,
            tracker=tracker,
            allowed_lag=allowed_lag,
            extra_steps=extra_steps,
            score_tolerance=score_tolerance,
            success_at=success_at,
            near_start_steps=near_start_steps,
            training=training,
            shrink_bound=shrink_bound,
            **frontier,
        )
        super().__init__(env)
        require_count("near_start_steps", near_start_steps)
        games: Any = env
        if not (hasattr(games, "states_along") and hasattr(games, "restore")):
            raise InvalidArgumentError(
                f"{_OWNER} for vectors needs Atari games that can be restored, and sees their own "
                'rewards: make_atari(..., num_envs=..., backend="restorable", clip_rewards=False). '
                "Clip rewards around it. For other environments wrap each one in "
                "hxwrappers.DemoResetCurriculum."
            )
        self._games = games
        self._skip: int = games.frame_skip
        self._resets_itself = games.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
        self.metadata = {**env.metadata, "autoreset_mode": AutoresetMode.SAME_STEP}
        self.tracker = find_tracker(demo, tracker, frontier)
        self.training = training
        self._near_start_steps = near_start_steps
        rules = AttemptSettings(allowed_lag, extra_steps, score_tolerance, success_at, shrink_bound)
        self._courses = self.tracker.courses(rules)
        self._states = [games.states_along(each) for each in self.tracker.demos]
        self._generator = own_generator(None, _OWNER)
        number = env.num_envs
        self._starts = [StartingPoint(0, 0)] * number
        self._attempts: list[Attempt | None] = [None] * number
        self._scores = np.zeros(number)
        self._lengths = np.zeros(number, np.int64)

    def reset(
        self,
        *,
        seed: int | list[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin episodes where the tracker says; episodes in flight are left out.

        Args:
            seed: Of the games, and of this wrapper's own draws.
            options: For the games; those of `options["reset_mask"]`, or all, begin anew.
        """
        lanes = np.flatnonzero(reset_lanes(self.env, options))
        if seed is not None:
            first = int(seed) if isinstance(seed, int | np.integer) else seed[0]
            self._generator = own_generator(first, _OWNER)
        observations, infos = self.env.reset(seed=seed, options=options)  # type: ignore[arg-type]
        self._begin(lanes, observations)
        return observations, self._explained(infos)

    def step(
        self, actions: Any
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Play one action of each game, and begin anew those whose episode ends."""
        observations, rewards, terminated, truncated, infos = self.env.step(actions)
        ended = terminated | truncated
        self._scores += rewards
        self._lengths += 1
        terminated, truncated, outcomes = terminated.copy(), truncated.copy(), {}
        for index, attempt in enumerate(self._attempts):
            if attempt is None:
                continue
            over = bool(ended[index])
            verdict = attempt.step(float(rewards[index]), ended=over, steps=self._skip)
            if verdict is AttemptStatus.FINISHED and not over:
                truncated[index] = True
            elif verdict is AttemptStatus.LAGGING:
                terminated[index] = True
            if terminated[index] or truncated[index]:
                outcomes[index] = attempt.outcome(verdict, died=bool(terminated[index]) and over)
                self._count(self._starts[index], attempt)
        dones = terminated | truncated
        infos = self._explained(infos)
        if dones.any():
            observations, infos = self._restart(observations, infos, dones, outcomes)
        return observations, rewards, terminated, truncated, infos

    def _restart(
        self,
        observations: np.ndarray,
        infos: dict[str, Any],
        dones: np.ndarray,
        outcomes: Mapping[int, str],
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Say how episodes have ended, and begin the next ones."""
        over = np.flatnonzero(dones)
        finals = infos.get("final_obs", np.full(self.num_envs, None, dtype=object)).copy()
        for index in over:
            if finals[index] is None:
                finals[index] = observations[index].copy()
        infos |= {
            "final_obs": finals,
            "_final_obs": dones,
            "episode": {
                "r": np.where(dones, self._scores, 0.0),
                "l": np.where(dones, self._lengths, 0),
                "_r": dones,
                "_l": dones,
            },
            "_episode": dones,
        }
        if outcomes:
            judged = np.zeros(self.num_envs, np.bool_)
            judged[list(outcomes)] = True
            words = np.full(self.num_envs, None, dtype=object)
            for lane, outcome in outcomes.items():
                words[lane] = outcome
            succeeded = np.array([outcome == "success" for outcome in words])
            infos |= {"is_success": succeeded, "_is_success": judged}
            infos |= {"attempt": words, "_attempt": judged}
        if not self.training and not self._resets_itself:
            observations, _ = self.env.reset(options={"reset_mask": dones})
        observations = observations.copy()
        self._begin(over, observations)
        if self.training:
            # Now of the episodes that have begun.
            infos = self._explained({**infos, **_final_info(infos, dones)})
        return observations, infos

    def _in_flight(self) -> Iterable[Attempt | None]:
        return self._attempts

    def _begin(self, indices: np.ndarray, observations: np.ndarray) -> None:
        """Begin episodes of some games, and write what they show."""
        self._scores[indices] = 0.0
        self._lengths[indices] = 0
        if not self.training:
            for lane in indices.tolist():
                self._attempts[lane] = None
            return
        snapshots = []
        for lane in indices.tolist():
            self._starts[lane] = start = self.tracker.draw(self._generator)
            self._attempts[lane] = self._begin_attempt(start)
            snapshots.append(self._states[start.demo][start.step])
        observations[indices] = self._games.restore(indices, snapshots)

    def _explained(self, infos: dict[str, Any]) -> dict[str, Any]:
        if not self.training:
            return infos
        steps = np.array([0 if each is None else each.steps for each in self._attempts])
        return {
            **infos,
            "starting_point": np.array([start.step for start in self._starts]),
            "demo": np.array([start.demo for start in self._starts]),
            "near_start": steps < self._near_start_steps,
        }


def _final_info(infos: dict[str, Any], dones: np.ndarray) -> dict[str, Any]:
    """The infos of episodes that have ended, as Gymnasium's vectors give them."""
    told = {key: values for key, values in infos.items() if not key.startswith("_")}
    del told["final_obs"]
    masks = {f"_{key}": dones & infos.get(f"_{key}", True) for key in told}
    return {"final_info": {**told, **masks}, "_final_info": dones}
