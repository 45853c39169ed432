"""Every wrapper in its three forms, with frozen models, so that all forms must do the same."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from gymnasium.vector import VectorEnv

from hxwrappers import (
    CNDBonus,
    RNDBonus,
    StickyActions,
    YouTubeImitationReward,
    vector,
)
from hxwrappers.novelty import CNDModel, RNDModel
from hxwrappers.sb3 import (
    VecCNDBonus,
    VecRNDBonus,
    VecStickyActions,
    VecYouTubeImitationReward,
)
from tests.contract.grounds import Coarse, Ground, box_key
from tests.contract.stacks import IMITATION, NOVELTY

INFO_KEYS = (
    *("extrinsic_reward", "intrinsic_reward", "reward_bonus", "sticky_action"),
    *("imitation_reward", "imitation_checkpoint", "imitation_share"),
)


class Forms(NamedTuple):
    """The same wrapper on three shelves, each as `wrap(ground, env)`, and the settings of a run."""

    single: Any
    batched: Any
    sb3: Any


def _novelty(wrapper: Any, model_class: Any, ground: Ground, env: Any) -> Any:
    name = "single_observation_space" if isinstance(env, VectorEnv) else "observation_space"
    space = getattr(env, name)
    key = box_key(space)
    # Without the scale that only learning finds, so that there is a bonus.
    settings = {**NOVELTY, "normalize_reward": False, "seed": 0}
    model = model_class(space if key is None else space[key], **settings)
    model.training = False
    return wrapper(env, model, observation_key=key)


def _imitation(wrapper: Any, observe_progress: bool, ground: Ground, env: Any) -> Any:
    frames = "observation" if ground.frames == "observation" else "info"
    settings = {**IMITATION, "frames": frames, "observe_progress": observe_progress}
    return wrapper(env, ground.clip, Coarse(), **settings)


def _sticky(wrapper: Any, ground: Ground, env: Any) -> Any:
    return wrapper(env, 0.5)


def _forms(make: Any, *wrappers: Any) -> Forms:
    return Forms(*(partial(make, wrapper) for wrapper in wrappers))


_IMITATION = (
    YouTubeImitationReward,
    vector.YouTubeImitationReward,
    VecYouTubeImitationReward,
)
TWINS: dict[str, Forms] = {
    "RNDBonus": _forms(
        lambda wrapper, *rest: _novelty(wrapper, RNDModel, *rest),
        *(RNDBonus, vector.RNDBonus, VecRNDBonus),
    ),
    "CNDBonus": _forms(
        lambda wrapper, *rest: _novelty(wrapper, CNDModel, *rest),
        *(CNDBonus, vector.CNDBonus, VecCNDBonus),
    ),
    "StickyActions": _forms(_sticky, StickyActions, vector.StickyActions, VecStickyActions),
    "YouTubeImitationReward": _forms(
        lambda wrapper, *rest: _imitation(wrapper, False, *rest), *_IMITATION
    ),
    "YouTubeImitationReward, progress": _forms(
        lambda wrapper, *rest: _imitation(wrapper, True, *rest), *_IMITATION
    ),
}
"""By the name of the wrapper around one environment, with a variant after a comma."""


def form(shelf: str, layers: Sequence[str], ground: Ground, env: Any) -> Any:
    """Put layers around an environment in the form of one shelf, the innermost first."""
    for layer in layers:
        env = getattr(TWINS[layer], shelf)(ground, env)
    return env
