"""Novelty models as wrappers hold them: set-up, freezing, saving."""

from __future__ import annotations

import copy
import os
from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces

from hxwrappers.bridge.bonuses import Coefficient
from hxwrappers.bridge.statistics import CallerChecks, evaluates, warn_of_evaluation
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files import load_checkpoint
from hxwrappers.files.checkpoints import checkpoint_errors, limit_parameters
from hxwrappers.files.generators import derived_seed
from hxwrappers.novelty import CNDModel, NoveltyModel, ObservationLayout, RNDModel
from hxwrappers.novelty.encoding import batch_of_one, find_part, select


def resolve_model(
    kind: type[NoveltyModel],
    model: NoveltyModel | str | os.PathLike[str] | None,
    space: spaces.Space[Any],
    settings: Mapping[str, Any],
) -> NoveltyModel:
    """The model that a wrapper shall use.

    Args:
        kind: The class of model that the wrapper is for.
        model: A model to share, the path of a saved one, or None for a new one.
        space: The observation space that it must fit.
        settings: Settings of a new model; for a saved one they replace the saved settings.

    Raises:
        InvalidArgumentError: A model of another class, or settings for a model that exists.
        InvalidArgumentError: A model for other observations.
        CheckpointError: The file is unreadable or of another model.
    """
    if model is None:
        return kind(space, **settings)
    if not isinstance(model, NoveltyModel):
        state = load_checkpoint(model, kind.__name__)
        return _made(kind, space, state, settings)
    if not isinstance(model, kind):
        raise InvalidArgumentError(f"model is a {type(model).__name__}, not a {kind.__name__}.")
    if settings:
        raise InvalidArgumentError(
            f"The settings {', '.join(sorted(settings))} would have no effect: a model was "
            "given, and it has its own. Give one or the other."
        )
    if model.layout.space != space:
        raise InvalidArgumentError(
            f"The model is for observations in {model.layout.space}, these are in {space}."
        )
    return model


def model_from_state(state: Mapping[str, Any], space: spaces.Space[Any]) -> NoveltyModel:
    """The model that a state is of, whichever kind that is.

    Args:
        state: What `NoveltyModel.state_dict` gave.
        space: The observation space.

    Raises:
        CheckpointError: The state is no novelty model's, or damaged.

    Example:
        >>> space = spaces.Box(-1, 1, (3,))
        >>> type(model_from_state(RNDModel(space).state_dict(), space)).__name__
        'RNDModel'
    """
    kinds: dict[str, type[NoveltyModel]] = {"RNDModel": RNDModel, "CNDModel": CNDModel}
    with checkpoint_errors("This is the state of no novelty model", "Save one with its save()."):
        kind = kinds[state["signature"]["model"]]
    return _made(kind, space, state, {})


def _made(
    kind: type[NoveltyModel],
    space: spaces.Space[Any],
    state: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> NoveltyModel:
    """The model that a state from a file is of, with some settings in place of its own."""
    with checkpoint_errors("The settings in the state of a novelty model are damaged"):
        saved = dict(state["settings"])
        if str(saved.get("device")).startswith("cuda") and not torch.cuda.is_available():
            saved["device"] = "auto"
        with limit_parameters(state):
            model = kind(space, **{**saved, **settings})
    model.load_state_dict(state)
    return model


class ModelHolder(CallerChecks):
    """Set-up, freezing and persistence of a wrapper's model."""

    model: NoveltyModel
    model_class: ClassVar[type[NoveltyModel]]
    coefficient = Coefficient()
    """Scale of the bonus in the reward; can be changed at any time."""

    def _hold(
        self,
        env: Any,
        model: NoveltyModel | str | os.PathLike[str] | None,
        coefficient: float,
        space: spaces.Space[Any],
        observation_key: str | None,
        settings: Mapping[str, Any],
        num_envs: int,
    ) -> None:
        """Set up coefficient, part of the observation, model and streams, for any kind of env."""
        self._path = find_part(space, observation_key)
        part: spaces.Space[Any] = select(space, self._path)
        if model is None and settings.get("newest_channels") is None:
            newest = newest_channels(env, part, settings.get("channel_axis"))
            settings = settings if newest is None else {**settings, "newest_channels": newest}
        self.coefficient = coefficient
        self.model = resolve_model(self.model_class, model, part, settings)
        self._owns_model = model is not self.model
        self._training = True
        self._streams = self.model.open_streams(num_envs)
        self._previous: Any = None

    def _seed_model(self, seed: int | None) -> None:
        """Seed a model that is not shared and has not learned anything yet."""
        if seed is not None and self._owns_model:
            self.model.reseed(derived_seed(seed, 0))  # apart from the environment's own

    @property
    def training(self) -> bool:
        """Whether the model learns from these environments; set it to False to only score them.

        Other wrappers that share the model go on teaching it. A model that is frozen itself, by
        its own `training`, learns from none of them.
        """
        return self._training and self.model.training

    @training.setter
    def training(self, value: bool) -> None:
        self._training = value

    def _scored(self, observations: Any) -> Any:
        """The part of a batch that is scored, as one array or tensor."""
        return self.model.layout.encode(select(observations, self._path))

    def _scored_one(self, observation: Any) -> Any:
        """The same of one observation, as a batch of one in memory of its own."""
        return self.model.layout.encode(batch_of_one(select(observation, self._path)))

    def _watch(self) -> None:
        """Also warn where an evaluation teaches the model."""
        super()._watch()
        if self.training and evaluates():
            warn_of_evaluation(
                f"evaluate_policy plays in a {type(self).__name__} that goes on learning, so its "
                "episodes change the bonus of the training."
            )

    def _observe(self, observations: Any, streams: np.ndarray, previous: Any) -> Any:
        """The bonuses of the observations that steps led to, learned from unless frozen."""
        if not self.training:
            return self.model.bonus(previous if self.model.scores_previous else observations)
        return self.model.observe(observations, streams, previous)

    def warm_up(self, seed: int | None = None) -> int:
        """Go through the model's warm-up with random actions, before an agent is trained.

        As published: the moments of observations come from a random agent, and the agent that is
        trained earns the bonus from its first step on. Without it the first `warmup_steps` of that
        agent are the warm-up. Does nothing where the warm-up is over, as in a saved model. Reset
        the environment afterwards.

        Args:
            seed: Seed of the reset and of the actions.

        Returns:
            The steps made of each environment.

        Raises:
            InvalidArgumentError: The model does not learn from these environments.
        """
        if self.model.warming_up and not self.training:
            raise InvalidArgumentError(
                f"{type(self).__name__} is frozen and sets no moments. Set training = True first."
            )
        walk, steps = self._random_steps(seed), 0
        while self.model.warming_up:
            steps = next(walk)
        return steps

    @abstractmethod
    def _random_steps(self, seed: int | None) -> Iterator[int]:
        """Reset, and step with random actions for ever; gives the number of steps after each."""

    def state_dict(self) -> dict[str, Any]:
        """The model, with everything learned and counted, and what it needs to go on."""
        state: dict[str, Any] = {"model": self.model.state_dict()}
        if self.model.uses_previous and self._previous is not None:
            state["previous"] = torch.as_tensor(self._previous).clone()
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave; the observations before the next step only if they fit.

        Raises:
            CheckpointError: The state is of another model, or incomplete.
        """
        with checkpoint_errors(
            f"This is no state of a {type(self).__name__}", "Pass what state_dict() returned."
        ):
            learned = state["model"]
        self.model.load_state_dict(learned)
        previous = state.get("previous")
        if isinstance(previous, torch.Tensor) and len(previous) == len(self._streams):
            self._previous = previous.numpy().copy()


def seeded_copy(space: gym.Space[Any], seed: int | None) -> gym.Space[Any]:
    """A space that draws from a seed, and leaves the generator of the one it is a copy of alone."""
    own = copy.deepcopy(space)
    own.seed(seed)
    return own


def newest_channels(
    env: Any, space: spaces.Space[Any], channel_axis: int | None = None
) -> int | None:
    """How many channels of an image are its newest frame, where the environment tells.

    Args:
        env: An environment of any kind; its layers are asked for a frame stack.
        space: The part of its observation space that is looked at.
        channel_axis: Axis of the channels, where it was given.

    Returns:
        The number, or None where the space is no image or no layer stacks frames.
    """
    number = _stacked_frames(env)
    if number is None or not isinstance(space, spaces.Box) or len(space.shape) != 3:
        return None
    layout = ObservationLayout.of(space, channel_axis=channel_axis)
    if layout.channel_axis is None or not layout.is_image:
        return None
    newest, rest = divmod(space.shape[layout.channel_axis], number)
    return None if rest else newest


def _stacked_frames(env: Any) -> int | None:
    layer = env
    while hasattr(layer, "observation_space"):
        if type(layer).__name__ == "AtariVectorEnv":
            return int(layer.single_observation_space.shape[0])  # it keeps no number
        # Gymnasium's FrameStackObservation, the Procgen environment, Stable-Baselines3's stack.
        parts = vars(layer)
        stack = parts.get("stacked_obs")
        for found in (
            parts.get("stack_size"),
            parts.get("frame_stack"),
            getattr(stack, "n_stack", None),
        ):
            if isinstance(found, int):
                return found
        environments = parts.get("envs") or ()
        layer = parts.get("env", parts.get("venv", next(iter(environments), None)))
    return None
