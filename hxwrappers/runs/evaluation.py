"""Evaluation of policies from the true start, under four conditions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces

from hxwrappers._utils.checks import require_count, require_range
from hxwrappers.bridge.actions import MASK_METHOD, flat_mask, is_legal
from hxwrappers.envs import make_from_recipe
from hxwrappers.envs.recipes import is_deterministic, name_of
from hxwrappers.envs.starts import EPSILON, STARTS, Start
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.generators import own_generator
from hxwrappers.runs.statistics import Summary, summarize

MAX_STEPS = 27_000  # half an hour of Atari at four frames a step
_SEEDS = 2**31 - 1  # what emulators take
_DRAWS = 1000  # until a random action is legal

State = tuple[np.ndarray, ...] | None
"""What a policy remembers, each array with the batch on its second axis."""


class EvaluablePolicy(Protocol):
    """What `evaluate` evaluates: something that acts in an environment it can describe.

    Where it also has a method `require_fit(env)`, that is called with an environment beforehand.
    Where it has `keeps_to_masks`, and that is true, `predict` is given `action_masks=` as well, of
    environments that have a method of this name.
    """

    @property
    def environment(self) -> Mapping[str, Any]:
        """The environment's recipe, see `hxwrappers.envs.make_from_recipe`."""

    def predict(
        self,
        observations: Any,
        state: State = None,
        episode_starts: np.ndarray | None = None,
        deterministic: bool = False,
    ) -> tuple[np.ndarray, State]:
        """Choose an action for each observation, and go on from the recurrent state."""


@dataclass(frozen=True)
class Episode:
    """One episode.

    Attributes:
        seed: What the environment was reset with.
        score: The sum of the environment's own rewards, neither clipped nor discounted.
        length: Steps of the agent.
        ended: "terminated", "truncated", or "cut" after `max_steps`.
        actions: What was executed, kept for the best episode alone.
    """

    seed: int
    score: float
    length: int
    ended: Literal["terminated", "truncated", "cut"]
    actions: tuple[Any, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Evaluation:
    """The episodes of one condition.

    Attributes:
        start: The condition.
        episodes: The episodes, in the order of their seeds.
        best: The first of those with the highest score, with its actions.
        repeats: Whether every further episode would be the same, so that one was enough.
    """

    start: Start
    episodes: tuple[Episode, ...]
    best: Episode
    repeats: bool

    def summary(self, **options: Any) -> Summary:
        """The figures of the scores; see `hxwrappers.runs.statistics.summarize`."""
        return summarize([episode.score for episode in self.episodes], **options)


def evaluate(
    playable: EvaluablePolicy,
    starts: Sequence[Start] = STARTS,
    *,
    episodes: int = 100,
    seed: int = 0,
    num_envs: int = 8,
    deterministic: bool = False,
    max_steps: int = MAX_STEPS,
    progress: Callable[[int], object] | None = None,
) -> list[Evaluation]:
    """Play from the true start, under the conditions in which Salimans & Chen 2018 report.

    "plain" is the game as it is; "noop" begins with up to 30 idle frames, "sticky" repeats actions
    with probability 0.25, "epsilon" takes a random action in one of 100 steps, of those that the
    environment's `action_masks()` allows. Every episode has a
    seed of its own, drawn beforehand, and each of them is played to its end, whichever is over
    first: short episodes count no more than long ones. Actions that are sampled depend on
    `num_envs` too. The generators of torch are left as they were.

    Args:
        playable: A policy and its environment's recipe, such as `load_policy` returns.
        starts: The conditions.
        episodes: Episodes of each condition. A deterministic policy plays a deterministic game
            only once under "plain", since the others would be the same.
        seed: Seed of everything.
        num_envs: Environments side by side, in this process.
        deterministic: Take the likeliest actions, rather than sample them.
        max_steps: Episodes are cut after so many steps.
        progress: Called with the number of episodes that are over, after each.

    Returns:
        One evaluation for each condition.

    Raises:
        InvalidArgumentError: There are no conditions, or one that is not known or does not fit, or
            a function returns the same environment twice.
        InvalidArgumentError: A number out of its range, such as a negative seed.
        InvalidArgumentError: The environment cannot be made.
        InvalidArgumentError: The environment is not one for this policy.

    Example:
        >>> class Idle:
        ...     environment = {"maker": "gymnasium", "id": "CliffWalking-v1"}
        ...     def predict(self, observations, state, episode_starts, deterministic):
        ...         return np.zeros(len(observations), int), None
        >>> (plain,) = evaluate(Idle(), ["plain"], episodes=3, max_steps=5)
        >>> [episode.score for episode in plain.episodes], plain.best.actions
        ([-5.0, -5.0, -5.0], (0, 0, 0, 0, 0))
    """
    require_count("episodes", episodes, smallest=1)
    require_count("num_envs", num_envs, smallest=1)
    require_count("max_steps", max_steps, smallest=1)
    require_range("seed", seed, minimum=0)
    if not starts or len(set(starts)) < len(starts):
        raise InvalidArgumentError(f"starts are {list(starts)}; give one or more different ones.")
    over = 0

    def count(_: Episode) -> None:
        nonlocal over
        over += 1
        if progress is not None:
            progress(over)

    evaluations = []
    for start in starts:
        repeats = start == "plain" and deterministic and is_deterministic(playable.environment)
        wanted = 1 if repeats else episodes
        seeds = _seeds(seed, start, wanted)
        with ExitStack() as stack:
            envs = [
                make_from_recipe(playable.environment, start=start)
                for _ in range(min(num_envs, wanted))
            ]
            for env in envs:
                stack.callback(env.close)
            if len({id(env.unwrapped) for env in envs}) < len(envs):
                raise InvalidArgumentError(
                    f"{name_of(playable.environment)} returned one and the same environment "
                    "again, but episodes are played side by side. Let it make a new one each "
                    "time it is called."
                )
            require_fit = getattr(playable, "require_fit", None)
            if require_fit is not None:
                require_fit(envs[0])
            stack.enter_context(torch.random.fork_rng())
            torch.manual_seed(seeds[0])
            players = [_Player(env, start) for env in envs]
            played = _play(playable, players, seeds, deterministic, max_steps, count)
        best = max(played, key=lambda episode: episode.score)
        bare = tuple(
            Episode(episode.seed, episode.score, episode.length, episode.ended)
            for episode in played
        )
        evaluations.append(Evaluation(start, bare, best, repeats))
    return evaluations


def episode_frames(
    environment: Mapping[str, Any], start: Start, episode: Episode
) -> Iterator[npt.NDArray[np.uint8]]:
    """The pictures of an episode, played again from its seed and actions.

    Args:
        environment: The environment's recipe.
        start: The condition under which it was played.
        episode: The episode, with its actions.

    Yields:
        Frames, `(height, width, 3)`, `uint8`: one after the reset and one after each step.

    Raises:
        InvalidArgumentError: The episode has no actions, the environment draws no pictures, or the
            score differs, as it does where the environment is not made repeatable by its seed.
    """
    if not episode.actions:
        raise InvalidArgumentError("Only the best episode of a condition keeps its actions.")
    env = make_from_recipe(environment, start=start, render_mode="rgb_array")
    try:
        env.reset(seed=episode.seed)
        yield _picture(env)
        score = 0.0
        for action in episode.actions:
            score += float(env.step(deepcopy(action))[1])
            yield _picture(env)
    finally:
        env.close()
    if score != episode.score:
        raise InvalidArgumentError(
            f"Played again, the episode of seed {episode.seed} scores {score:g} instead of "
            f"{episode.score:g}: the environment does not repeat itself, so it has no video."
        )


class _Player:
    """One environment, the episode that is being played in it, and the coins for "epsilon"."""

    def __init__(self, env: gym.Env[Any, Any], start: Start) -> None:
        self.env, self.start = env, start

    def begin(self, index: int, seed: int) -> None:
        """Begin the episode of this number."""
        self.index, self.seed = index, seed
        self.observation = self.env.reset(seed=seed)[0]
        self.score = 0.0
        self.actions: list[Any] = []
        self._coin = own_generator(seed, "epsilon-greedy")

    def step(self, action: Any, max_steps: int) -> Episode | None:
        """Step, and return the episode if it is over."""
        if self.start == "epsilon" and self._coin.random() < EPSILON:
            action = self._random(action)
        if isinstance(self.env.action_space, spaces.Discrete):
            action = int(action)
        self.actions.append(deepcopy(action))  # environments may change their actions in place
        self.observation, reward, terminated, truncated, _ = self.env.step(action)
        self.score += float(reward)
        length = len(self.actions)
        if not (terminated or truncated or length >= max_steps):
            return None
        ended: Any = "terminated" if terminated else "truncated" if truncated else "cut"
        return Episode(self.seed, self.score, length, ended, tuple(self.actions))

    def mask(self) -> npt.NDArray[np.bool_] | None:
        """Which actions are legal now; None where all are."""
        if not self.env.has_wrapper_attr(MASK_METHOD):
            return None
        return flat_mask(self.env.get_wrapper_attr(MASK_METHOD)(), self.env.action_space)

    def _random(self, otherwise: Any) -> Any:
        space, mask = self.env.action_space, self.mask()
        space.seed(int(self._coin.integers(_SEEDS)))
        drawn = (space.sample() for _ in range(_DRAWS))
        return next((action for action in drawn if is_legal(action, mask, space)), otherwise)


def _play(
    playable: EvaluablePolicy,
    players: list[_Player],
    seeds: list[int],
    deterministic: bool,
    max_steps: int,
    over: Callable[[Episode], None],
) -> list[Episode]:
    """Play one episode of each seed; whoever is done takes the next one that nobody has begun."""
    played: dict[int, Episode] = {}
    waiting = iter(enumerate(seeds))
    for player in players:
        player.begin(*next(waiting))
    playing = list(players)
    starts = np.ones(len(players), np.bool_)
    state: Any = None
    while playing:
        observations = _batch([player.observation for player in playing])
        masks = _masks(playable, playing)
        actions, state = playable.predict(observations, state, starts, deterministic, **masks)
        starts = np.zeros(len(playing), np.bool_)
        staying = np.ones(len(playing), np.bool_)
        for row, player in enumerate(playing):
            episode = player.step(actions[row], max_steps)
            if episode is None:
                continue
            played[player.index] = episode
            over(episode)
            following = next(waiting, None)
            if following is None:
                staying[row] = False
            else:
                player.begin(*following)
                starts[row] = True
        if not staying.all():
            playing = [player for player, stays in zip(playing, staying, strict=True) if stays]
            starts = starts[staying]
            state = None if state is None else tuple(part[:, staying] for part in state)
    return [played[index] for index in range(len(seeds))]


def _masks(playable: EvaluablePolicy, playing: list[_Player]) -> dict[str, Any]:
    """The masks of a step, for a policy that keeps to them."""
    if not getattr(playable, "keeps_to_masks", False):
        return {}
    masks = [mask for player in playing if (mask := player.mask()) is not None]
    return {"action_masks": np.stack(masks)} if masks else {}


def _seeds(seed: int, start: Start, count: int) -> list[int]:
    seeds: list[int] = (
        own_generator(seed, f"evaluate {start}").integers(_SEEDS, size=count).tolist()
    )
    return seeds


def _batch(observations: list[Any]) -> Any:
    first = observations[0]
    if isinstance(first, dict):
        return {key: np.stack([item[key] for item in observations]) for key in first}
    return np.stack([np.asarray(item) for item in observations])


def _picture(env: gym.Env[Any, Any]) -> npt.NDArray[np.uint8]:
    try:
        frame: Any = env.render()
    except NotImplementedError:
        frame = None
    if not isinstance(frame, np.ndarray) or frame.ndim != 3:
        raise InvalidArgumentError(f"{env.unwrapped} draws no pictures that a video could show.")
    return frame.astype(np.uint8, copy=False)
