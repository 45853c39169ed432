"""Episodes that start inside a demonstration, earlier as the agent succeeds."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, SupportsFloat

import gymnasium as gym
from gymnasium.core import ActType, ObsType

from hxwrappers._utils.checks import brief, require_count
from hxwrappers.bridge.environments import require_env
from hxwrappers.bridge.shared_tracker import DemoLike, TrackerHolder, find_tracker
from hxwrappers.bridge.statistics import InnerStatistics, evaluates, warn_of_evaluation
from hxwrappers.curriculum import AttemptSettings, StartingPoint, SuccessTracker
from hxwrappers.curriculum.attempt import Attempt, AttemptStatus
from hxwrappers.demos import DemoPlayer
from hxwrappers.demos.player import Transition, own_reward
from hxwrappers.files.generators import own_generator
from hxwrappers.snapshots.base import COUNTING_LAYERS, layer_name, layers_of
from hxwrappers.wrappers._spec import SpecInJson, demo_argument

_OWNER = "DemoResetCurriculum"


class DemoResetCurriculum(
    TrackerHolder,
    SpecInJson,
    gym.Wrapper[ObsType, ActType, ObsType, ActType],
    gym.utils.RecordConstructorArgs,
):
    """Starts episodes inside a demonstration, and ever earlier in it as the agent succeeds.

    From Salimans & Chen 2018, "Learning Montezuma's Revenge from a Single Demonstration", arXiv
    1812.03381, and the code published with it. The agent learns from its own reward alone; the
    demonstration only says where episodes start: near its end at first, so that the next reward
    is a few steps away, and further back as soon as a fifth of the episodes reach at least the
    demonstration's return.

    Put it at the level at which the demonstration was recorded: inside frame skip, resizing and
    frame stacking for one recorded frame by frame (`make_atari(..., frame_wrapper=...)` does), and
    outermost for one in the agent's own steps. Every environment with a `Snapshotter` will do.

    An episode from a starting point ends

    - some steps after its success, truncated: `extra_steps`;
    - when it lags behind the demonstration: `allowed_lag`;
    - with a lost life, where `info["lives"]` tells: `end_on_life_loss`;
    - or where the environment ends it.

    Infos of every reset and step hold `starting_point` (a step of the demonstration), `demo`
    (which one), `replaying` (whether the next step will replay the demonstration, whatever the
    action) and `near_start` (whether it is one of the first `near_start_steps` of the agent's own,
    in which a policy may explore more, see `DemoRecurrentPPO`). The last one of an episode also
    holds `is_success`, and `attempt`, which says how it ended: "success", "lagging", "life lost"
    or "ended".

    All workers share one `SuccessTracker`, which knows the success rates and moves the frontier.
    Without one, the wrappers of one process over the same demonstrations share a tracker of their
    own; worker processes cannot, and say so.

    Args:
        env: The environment, at the demonstration's level.
        demo: A demonstration or the path of its file, or several of them.
        tracker: The tracker that all workers share, or the path of its file.
        replay_steps: So many steps before the starting point the episode really begins: the
            demonstration's own actions are taken, so that stacked frames and recurrent states are
            right. These steps have reward 0 (their own is in `info["extrinsic_reward"]`, and what
            was taken away in `info["reward_bonus"]`) and are flagged in `info["replaying"]`;
            `SkipReplayedSteps` hides them, `DemoRecurrentPPO` learns nothing from them. Published
            for recurrent policies: 512 emulator frames.
        replay_multiple: Replay a multiple of so many steps: the frame skip outside, or else its
            first step after a replay takes what is left of it with the agent's action.
        allowed_lag: See `AttemptSettings`.
        extra_steps: See `AttemptSettings`.
        score_tolerance: See `AttemptSettings`.
        success_at: See `AttemptSettings`.
        shrink_bound: See `AttemptSettings`.
        near_start_steps: How many of the agent's first steps are flagged in `info["near_start"]`;
            published: 100 emulator frames.
        end_on_life_loss: End the episode when `info["lives"]` falls, as published.
        training: False steps aside: plain episodes from the true start.
        **frontier: Fields of `FrontierSettings`, for a tracker made here: `window`, `threshold`
            and so on.

    Attributes:
        tracker: The success table that this wrapper reports to.
        training: Whether episodes start inside the demonstration; for evaluation set it to False,
            from outside with `env.set_wrapper_attr("training", False)`.

    Raises:
        DemoError: The demonstration is of another environment or another level.
        InvalidArgumentError: An argument is out of range, or a tracker was given together with
            settings for one.
        DemoError: The tracker is one of other demonstrations.

    Example:
        >>> import gymnasium as gym
        >>> from hxwrappers.demos import DemoRecording
        >>> recording = DemoRecording(gym.make("FrozenLake-v1", is_slippery=False))
        >>> _ = recording.reset(seed=0)
        >>> for action in (1, 1, 2, 1, 2, 2):
        ...     _ = recording.step(action)
        >>> env = gym.make("FrozenLake-v1", is_slippery=False)
        >>> env = DemoResetCurriculum(env, recording.demo(), window=0)
        >>> observation, info = env.reset(seed=0)
        >>> int(observation), info["starting_point"]
        (14, 5)
        >>> _, reward, terminated, truncated, info = env.step(2)
        >>> reward, terminated, info["is_success"]
        (1, True, True)
    """

    def __init__(
        self,
        env: gym.Env[ObsType, ActType],
        demo: DemoLike | Sequence[DemoLike],
        tracker: SuccessTracker | str | os.PathLike[str] | None = None,
        replay_steps: int = 0,
        allowed_lag: int | None = 50,
        extra_steps: float | None = 7.0,
        score_tolerance: float = 0.0,
        success_at: str | None = None,
        near_start_steps: int = 100,
        end_on_life_loss: bool = True,
        training: bool = True,
        replay_multiple: int = 1,
        shrink_bound: bool = False,
        **frontier: Any,
    ) -> None:
        demo = demo_argument(demo)
        gym.utils.RecordConstructorArgs.__init__(
            self,
            _disable_deepcopy=True,  # a demonstration may be large
            demo=demo,
            tracker=tracker,
            replay_steps=replay_steps,
            replay_multiple=replay_multiple,
            allowed_lag=allowed_lag,
            extra_steps=extra_steps,
            score_tolerance=score_tolerance,
            success_at=success_at,
            shrink_bound=shrink_bound,
            near_start_steps=near_start_steps,
            end_on_life_loss=end_on_life_loss,
            training=training,
            **frontier,
        )
        require_env(env, self)
        gym.Wrapper.__init__(self, env)
        require_count("replay_steps", replay_steps)
        require_count("replay_multiple", replay_multiple, 1)
        require_count("near_start_steps", near_start_steps)
        self.tracker = find_tracker(demo, tracker, frontier)
        self.training = training
        self._replay_steps = replay_steps
        self._replay_multiple = replay_multiple
        self._near_start_steps = near_start_steps
        self._end_on_life_loss = end_on_life_loss
        rules = AttemptSettings(allowed_lag, extra_steps, score_tolerance, success_at, shrink_bound)
        # One for each demonstration, made now so that a wrong level is noticed now.
        self._players = [DemoPlayer(each, env) for each in self.tracker.demos]
        self._courses = self.tracker.courses(rules)
        self._replaying_well: set[int] = set()
        self._generator = own_generator(None, _OWNER)
        # Time limits and statistics that the demonstration does not know must begin anew as well.
        names = {layer_name(layer) for layer in layers_of(env)}
        self._has_counters = bool(names & COUNTING_LAYERS)
        self._statistics = InnerStatistics(env)
        self._start: StartingPoint | None = None
        self._attempt: Attempt | None = None
        self._replay: Iterator[Transition] = iter(())
        self._replays_left = 0
        self._warned = False
        self._demonstrates = False
        self._demonstrated: list[Any] = []
        self._lives: int | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_replay": iter(())}  # a replay in flight cannot be copied

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if (self._replays_left or self._demonstrates) and self._attempt is not None:
            assert self._start is not None
            demo, step = self._start
            now = step - self._replays_left + self._attempt.steps
            player = self._players[demo]
            stop = len(player.demo) if self._demonstrates else step
            self._replay = player.replay(now, stop)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Begin an episode where the tracker says.

        Args:
            seed: Seeds this wrapper's own draws, and begins anew: an episode in flight is left
                out. Without a seed it is counted, since a time limit outside may have ended it.
                The environment's luck is the demonstration's, like all of its state.
            options: `starting_point` and `demo`: start from this step (of this demonstration, the
                first if left out), or where the tracker says in this demonstration. Such an
                episode is reported like any other. `demonstrate=True` takes the demonstration's
                own actions to its end, whatever the agent's, with the rewards that they earn, and
                reports nothing: see `take_demonstrated`. All others are for the environment, and
                mean something to plain episodes (`training = False`) alone: the others begin inside
                the demonstration, with the options that it was recorded with. This is warned of.

        Raises:
            InvalidArgumentError: There is no such starting point.
            DemoError: The demonstration does not replay here: the environment was made with
                other arguments.
        """
        options = dict(options or {})
        wanted = options.pop("starting_point", None)
        which = options.pop("demo", None)
        demonstrates = bool(options.pop("demonstrate", False))
        if seed is not None:
            self._generator = own_generator(seed, _OWNER)
        elif self.training:
            self._count_if_cut_off()
        if self.training and evaluates():
            warn_of_evaluation(
                "evaluate_policy plays from starts inside the demonstration, and its episodes "
                "count in the success table."
            )
        if not self.training:
            self._start = self._attempt = None
            self._replays_left, self._demonstrates = 0, False
            return self.env.reset(seed=seed, options=options or None)
        if which is not None or wanted is not None:
            checked = self.tracker.starting_point(which or 0, 0 if wanted is None else wanted)
        drawn = self.tracker.draw(self._generator, None if which is None else checked.demo)
        self._start = demo, step = drawn if wanted is None else checked
        self._warn_of_options(options, self._players[demo].demo.metadata.options)
        self._demonstrates, self._demonstrated = demonstrates, []
        if demo not in self._replaying_well:
            with self._statistics.paused():
                self._players[demo].require_replay()
            self._replaying_well.add(demo)
        if seed is not None or self._has_counters:
            self.env.reset(seed=seed, options=options or None)
            self._players[demo].counters.keep()
        self._attempt = self._begin_attempt(self._start)
        replays = min(self._replay_steps, step)
        self._replays_left = replays - replays % self._replay_multiple
        observation, info = self._go_to(self._players[demo], step - self._replays_left, step)
        self._lives = info.get("lives")
        return observation, self._explained(info)

    def step(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take a step, the demonstration's own while `info["replaying"]` was true."""
        if self._replays_left:
            return self._replayed()
        taken = self._demonstrate() if self._demonstrates else self.env.step(action)
        observation, reward, terminated, truncated, info = taken
        if self._attempt is None or self._start is None:
            return observation, reward, terminated, truncated, info
        attempt = self._attempt
        ended = bool(terminated or truncated)
        verdict = attempt.step(own_reward(reward, info), ended=ended)
        died = self._lost_a_life(info)
        info = self._explained(info)
        # A demonstration goes to its end, also where that comes long after its success.
        if verdict is AttemptStatus.FINISHED and not (ended or self._demonstrates):
            truncated = True
        elif (verdict is AttemptStatus.LAGGING or died) and not self._demonstrates:
            terminated = True
        if terminated or truncated:
            if not ended:
                self._statistics.end(info)
            if not self._demonstrates:
                self._report(attempt)
            self._attempt, self._demonstrates = None, False
            info["is_success"] = attempt.succeeded
            info["attempt"] = attempt.outcome(verdict, died=died and not ended)
        return observation, reward, terminated, truncated, info

    def take_demonstrated(self) -> list[Any]:
        """The demonstration's actions that were taken since this was last asked.

        One for each step of the demonstration, so that a frame skip outside asks for several.
        Steps that only replay up to the starting point are none of them.

        Example:
            >>> import gymnasium as gym
            >>> from hxwrappers.demos import DemoRecording
            >>> recording = DemoRecording(gym.make("FrozenLake-v1", is_slippery=False))
            >>> _ = recording.reset(seed=0)
            >>> for action in (1, 1, 2, 1, 2, 2):
            ...     _ = recording.step(action)
            >>> env = gym.make("FrozenLake-v1", is_slippery=False)
            >>> env = DemoResetCurriculum(env, recording.demo())
            >>> _ = env.reset(options={"demonstrate": True, "starting_point": 4})
            >>> env.step(0)[:3], env.step(0)[:3], env.take_demonstrated()
            ((14, 0.0, False), (15, 1.0, True), [2, 2])
        """
        taken, self._demonstrated = self._demonstrated, []
        return taken

    def _warn_of_options(self, given: dict[str, Any], recorded: dict[str, Any] | None) -> None:
        if given and given != recorded and not self._warned:
            self._warned = True
            gym.logger.warn(
                f"reset(options={brief(repr(given), 80)}) has no effect while {_OWNER} is "
                "training: episodes begin inside the demonstration, which was reset with "
                f"{brief(repr(recorded), 80)}. Set training=False for plain episodes, or record a "
                "demonstration with these options."
            )

    def _count_if_cut_off(self) -> None:
        """Count an episode that was ended outside, as by a time limit around this wrapper.

        These are mostly failures; without them the success rate would be too high.
        """
        under_way = self._attempt is not None and self._attempt.steps and not self._demonstrates
        if self._attempt is not None and under_way:
            self._report(self._attempt)

    def _report(self, attempt: Attempt) -> None:
        assert self._start is not None
        self._count(self._start, attempt)

    def _in_flight(self) -> Iterable[Attempt | None]:
        return (self._attempt,)

    def _go_to(self, player: DemoPlayer, begin: int, step: int) -> tuple[ObsType, dict[str, Any]]:
        stop = len(player.demo) if self._demonstrates else step
        if begin > 0:
            # The last step before is taken rather than restored: it brings the screen up to date,
            # which an emulator's restore does not, and an info.
            self._replay = player.replay(begin - 1, stop)
            before = next(self._replay)
            player.counters.put_back()
            return before.observation, before.info
        self._replay = player.replay(0, stop)
        info: dict[str, Any] = {}
        if player.demo.snapshots.last_at_or_before(0) is not None:
            # For the screen, again. Not seeded: an emulator would load its game anew, and the
            # snapshot brings the demonstration's own generators anyway.
            _, info = self.env.reset(options=copy.deepcopy(player.demo.metadata.options))
        observation = player.restore(0)
        player.counters.put_back()
        return observation, info

    def _replayed(self) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        transition = next(self._replay)
        self._replays_left -= 1
        self._lives = transition.info.get("lives")
        own = transition.reward
        self._statistics.forget(own)
        info = {**self._explained(transition.info), "extrinsic_reward": own, "reward_bonus": -own}
        return transition.observation, 0.0, transition.terminated, transition.truncated, info

    def _demonstrate(self) -> tuple[ObsType, float, bool, bool, dict[str, Any]]:
        """Take the demonstration's next action; its last one ends the episode."""
        assert self._start is not None
        transition = next(self._replay)
        self._demonstrated.append(transition.action)
        last = transition.step == len(self._players[self._start.demo].demo)
        _, _, observation, own, terminated, truncated, info = transition
        return observation, own, terminated, truncated or last, info

    def _explained(self, info: dict[str, Any]) -> dict[str, Any]:
        assert self._start is not None
        assert self._attempt is not None
        replaying = self._replays_left > 0
        return {
            **info,
            "starting_point": self._start.step,
            "demo": self._start.demo,
            "replaying": replaying,
            "near_start": not replaying and self._attempt.steps < self._near_start_steps,
        }

    def _lost_a_life(self, info: Mapping[str, Any]) -> bool:
        before, self._lives = self._lives, info.get("lives")
        lost = before is not None and self._lives is not None and self._lives < before
        return self._end_on_life_loss and lost
