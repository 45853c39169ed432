"""Policies in files without pickles, with a description of the environment they play in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, cast

import gymnasium as gym
import numpy as np
import numpy.typing as npt
import torch
from gymnasium import spaces
from sb3_contrib import RecurrentPPO
from stable_baselines3 import PPO
from stable_baselines3.common import torch_layers
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.utils import get_device
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

from hxwrappers._utils.checks import require_range
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.files import load_checkpoint, save_checkpoint
from hxwrappers.files.checkpoints import is_plain, limit_parameters
from hxwrappers.runs.evaluation import State
from hxwrappers.sb3.demo_recurrent_ppo import DemoRecurrentPPO
from hxwrappers.sb3.dual_value_ppo import DualValuePPO
from hxwrappers.sb3.normalization import Normalization, may_be_normalized
from hxwrappers.sb3.policies import CNDFeatures, CompactCNN, DualValuePolicy, RNDFeatures
from hxwrappers.sb3.space_data import read_space, space_data

KIND = "Policy"
ALGORITHMS: dict[str, type[OnPolicyAlgorithm]] = {
    kind.__name__: kind for kind in (DualValuePPO, DemoRecurrentPPO, RecurrentPPO, PPO)
}
"""The algorithms whose policies are saved and loaded, subclasses before their bases."""
_POLICIES: dict[str, type[ActorCriticPolicy]] = {
    kind.__name__: cast(Any, kind)
    for algorithm in ALGORITHMS.values()
    for kind in algorithm.policy_aliases.values()
}
_CLASSES: dict[str, dict[str, type[nn.Module]]] = {
    "features_extractor_class": {
        kind.__name__: kind
        for kind in (
            torch_layers.FlattenExtractor,
            torch_layers.NatureCNN,
            torch_layers.CombinedExtractor,
            CNDFeatures,
            RNDFeatures,
            CompactCNN,
        )
    },
    "activation_fn": {
        kind.__name__: kind
        for kind in (nn.Tanh, nn.ReLU, nn.LeakyReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Sigmoid)
    },
}
_FOR_LEARNING = {"optimizer_class", "optimizer_kwargs"}

Observations = Any


class Playable:
    """A policy that acts, with a description of the environment that it acts in.

    Args:
        policy: The policy.
        environment: The environment's recipe, see `hxwrappers.envs.make_from_recipe`.
        algorithm: What trained it.
        normalization: What a `VecNormalize` did to the observations that it was trained on.

    Attributes:
        temperature: Divides the logits of discrete actions: 0.5, with which the published
            evaluation of demonstration resets plays, makes the likeliest ones likelier.
    """

    def __init__(
        self,
        policy: ActorCriticPolicy,
        environment: Mapping[str, Any],
        algorithm: str,
        normalization: Normalization | None = None,
    ) -> None:
        self.policy = policy
        self.normalization = normalization
        self.environment = dict(environment)
        self.algorithm = algorithm
        self._temperature = 1.0
        policy.action_net.register_forward_hook(self._temper)

    @property
    def keeps_to_masks(self) -> bool:
        """Whether `predict` takes action masks, as policies of `DualValuePPO` do."""
        return isinstance(self.policy, DualValuePolicy)

    @property
    def temperature(self) -> float:
        """The number that divides the logits."""
        return self._temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        require_range("temperature", value, above=0)
        discrete = isinstance(self.policy.action_space, spaces.Discrete | spaces.MultiDiscrete)
        if value != 1.0 and not discrete:
            raise InvalidArgumentError(
                f"Actions in {self.policy.action_space} have no logits that a temperature could "
                "divide. Leave it at 1."
            )
        self._temperature = float(value)

    def predict(
        self,
        observations: Observations,
        state: State = None,
        episode_starts: np.ndarray | None = None,
        deterministic: bool = False,
        action_masks: npt.NDArray[np.bool_] | None = None,
    ) -> tuple[np.ndarray, State]:
        """Choose actions for a batch.

        Args:
            observations: Of shape `(batch, ...)`, or a dict of such arrays, as the environment
                gives them: images may have their channels first or last.
            state: What the last call returned; None at first, and for policies without memory.
            episode_starts: Which observations begin an episode, `(batch,)`, bool: their recurrent
                state is wiped.
            deterministic: Take the likeliest action, rather than one by its probability.
            action_masks: Which actions are legal, `(batch, entries)`, for a policy that
                `keeps_to_masks`.

        Returns:
            Actions, `(batch, ...)`, and the recurrent state to go on from, or None.
        """
        if self.normalization is not None:
            observations = self.normalization(observations)
        masks = {} if action_masks is None else {"action_masks": action_masks}
        return self.policy.predict(observations, state, episode_starts, deterministic, **masks)

    def require_fit(self, env: gym.Env[Any, Any]) -> None:
        """Refuse an environment that is not one for this policy.

        Raises:
            InvalidArgumentError: Its spaces differ from the policy's.
        """
        if self.normalization is not None:
            self.normalization.check(env.observation_space)
        normalized = self.normalization is not None
        mine, theirs = (
            (_form(acting.observation_space, normalized=normalized), _form(acting.action_space))
            for acting in (self.policy, env)
        )
        if mine != theirs:
            raise InvalidArgumentError(
                f"The policy acts on {self.policy.observation_space} by "
                f"{self.policy.action_space}, but its environment has {env.observation_space} and "
                f"{env.action_space}."
            )

    def _temper(self, _: nn.Module, __: object, logits: torch.Tensor) -> torch.Tensor:
        return logits / self._temperature


def save_policy(
    path: str | os.PathLike[str],
    model: OnPolicyAlgorithm,
    environment: Mapping[str, Any],
    vecnormalize: VecNormalize | str | os.PathLike[str] | None = None,
) -> None:
    """Save what a model has learned to do, without its optimiser, for `hxw evaluate` and for use.

    The statistics of a `VecNormalize` that the model trains under are saved with it.

    Args:
        path: The file to write, atomically.
        model: A PPO, RecurrentPPO, DualValuePPO or DemoRecurrentPPO, with a policy class of
            Stable-Baselines3, sb3-contrib or this library.
        environment: The recipe of the environment to evaluate it in, see
            `hxwrappers.envs.make_from_recipe`.
        vecnormalize: The VecNormalize that the model was trained under, or the file that its
            `save` wrote, for a model that was loaded without its environment; "none" says that
            there was none.

    Raises:
        CheckpointError: The model has parts that such a file cannot hold, classes of your own for
            example; or it has no environment, and nothing says whether its observations were
            normalised.
        InvalidArgumentError: A space that such a file cannot hold, or statistics of another.

    Example:
        >>> import tempfile
        >>> from stable_baselines3 import PPO
        >>> path = tempfile.mkdtemp() + "/policy.safetensors"
        >>> model = PPO("MlpPolicy", "CartPole-v1", device="cpu")
        >>> save_policy(path, model, {"maker": "gymnasium", "id": "CartPole-v1", "kwargs": {}})
        >>> playable = load_policy(path)
        >>> actions, _ = playable.predict(np.zeros((5, 4), np.float32))
        >>> actions.shape
        (5,)
    """
    algorithm = next((name for name, kind in ALGORITHMS.items() if isinstance(model, kind)), None)
    policy = type(model.policy).__name__
    if algorithm is None or _POLICIES.get(policy) is not type(model.policy):
        raise CheckpointError(
            f"A policy file holds policies of {', '.join(ALGORITHMS)}, of the classes "
            f"{', '.join(_POLICIES)}; this is a {policy} of {type(model).__name__}."
        )
    normalization = _normalization_of(model, vecnormalize)
    arguments = {"use_sde": model.use_sde, **(model.policy_kwargs or {})}
    weights = {name: item.detach().cpu() for name, item in model.policy.state_dict().items()}
    state = {
        "algorithm": algorithm,
        "policy": policy,
        "arguments": {
            name: _name_of_class(name, value)
            for name, value in arguments.items()
            if name not in _FOR_LEARNING
        },
        "observation_space": space_data(model.observation_space),
        "action_space": space_data(model.action_space),
        "weights": weights,
        "environment": dict(environment),
        "normalization": None if normalization is None else normalization.state(),
    }
    save_checkpoint(path, KIND, state)


def load_policy(path: str | os.PathLike[str], device: str = "auto") -> Playable:
    """Load a policy that `save_policy` saved, without executing code from the file.

    Args:
        path: The file.
        device: Where to run it: "auto", "cpu", "cuda", ...

    Raises:
        CheckpointError: The file is missing, damaged, hostile or of another kind.
    """
    state = load_checkpoint(path, KIND)
    match state:
        case {
            "algorithm": str(algorithm),
            "policy": str(name),
            "arguments": dict(arguments),
            "observation_space": observations,
            "action_space": actions,
            "weights": dict(weights),
            "environment": dict(environment),
            "normalization": statistics,
        } if algorithm in ALGORITHMS and name in _POLICIES:
            pass
        case _:
            raise CheckpointError(f"{path} is not a complete policy file of this version.")
    policy = build_policy(
        _POLICIES[name], (read_space(observations), read_space(actions)), arguments, weights
    )
    normalization = None if statistics is None else Normalization.from_state(statistics, path)
    return Playable(policy.to(get_device(device)), environment, algorithm, normalization)


def build_policy(
    kind: type[ActorCriticPolicy],
    space_pair: tuple[spaces.Space[Any], spaces.Space[Any]],
    arguments: Mapping[str, Any],
    weights: Mapping[str, Any],
) -> ActorCriticPolicy:
    """Make a policy and give it weights.

    Args:
        kind: Its class.
        space_pair: The spaces of observations and actions.
        arguments: Plain arguments; `features_extractor_class` and `activation_fn` are the names of
            classes.
        weights: The policy's state_dict.

    Raises:
        CheckpointError: They do not fit together.
    """
    try:
        named = {name: _class_of_name(name, value) for name, value in arguments.items()}
        with limit_parameters(weights):
            policy = kind(*space_pair, lambda _: 0.0, **named)
        policy.load_state_dict(weights)
    except CheckpointError:
        raise
    except Exception as error:  # whatever torch and the policies raise for what they are not for
        raise CheckpointError(
            f"The weights do not fit a {kind.__name__} with {dict(arguments)!r} in "
            f"{space_pair[0]}: {' '.join(str(error).split())[:300]}"
        ) from error
    policy.set_training_mode(False)
    return policy


def _name_of_class(name: str, value: Any) -> Any:
    for known, kind in _CLASSES.get(name, {}).items():
        if value is kind:
            return known
    if name in _CLASSES or not is_plain(value):
        known = f" (known: {', '.join(_CLASSES[name])})" if name in _CLASSES else ""
        raise CheckpointError(
            f"policy_kwargs hold {name}={value!r}, which a policy file cannot hold{known}."
        )
    return value


def _class_of_name(name: str, value: Any) -> Any:
    if name not in _CLASSES:
        return value
    if value not in _CLASSES[name]:
        raise CheckpointError(
            f"There is no {name} {value!r}; there are {', '.join(_CLASSES[name])}."
        )
    return _CLASSES[name][value]


def _normalization_of(
    model: OnPolicyAlgorithm, given: VecNormalize | str | os.PathLike[str] | None
) -> Normalization | None:
    """What was done to the observations that a model was trained on.

    Raises:
        CheckpointError: Nothing says.
    """
    normalize = model.get_vec_normalize_env() if given is None else given
    if isinstance(normalize, VecNormalize):
        seen, acted_on = normalize.observation_space, model.observation_space
        if normalize.norm_obs and _form(seen, normalized=True) != _form(acted_on, normalized=True):
            raise CheckpointError(
                f"The VecNormalize normalises {seen}, but the policy acts on {acted_on}, which "
                "wrappers around it make of that, and a policy file cannot. Put the VecNormalize "
                "outermost, around a VecFrameStack for example."
            )
        return Normalization.of(normalize)
    if normalize is not None:
        return Normalization.load(normalize)
    if model.get_env() is None and may_be_normalized(model.observation_space):
        raise CheckpointError(
            "The model has no environment, so that nothing says whether a VecNormalize normalised "
            "its observations. Give vecnormalize=, its VecNormalize or the file that "
            'VecNormalize.save wrote, or vecnormalize="none".'
        )
    return None


def _form(space: Any, *, normalized: bool = False) -> Any:
    """What must agree between two spaces; channels may be first or last, bounds may differ.

    So may the dtype of observations that are normalised.
    """
    if isinstance(space, spaces.Dict):
        return {key: _form(part, normalized=normalized) for key, part in space.spaces.items()}
    if isinstance(space, spaces.Box):
        shape = tuple(sorted(space.shape)) if len(space.shape) == 3 else space.shape
        return "Box", shape, None if normalized else space.dtype
    return str(space)
