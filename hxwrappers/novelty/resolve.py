"""From what a user hands to a wrapper to the model that it uses."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from gymnasium import spaces

from hxwrappers._net_sizes import no_larger_than
from hxwrappers.checkpoints import load_checkpoint, refusing_malformed
from hxwrappers.errors import InvalidArgumentError, InvalidSpaceError
from hxwrappers.novelty.cnd import CNDModel
from hxwrappers.novelty.model import NoveltyModel
from hxwrappers.novelty.rnd import RNDModel

__all__ = ["model_of", "resolve_model"]


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
        InvalidSpaceError: A model for other observations.
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
        raise InvalidSpaceError(
            f"The model is for observations in {model.layout.space}, these are in {space}."
        )
    return model


def model_of(state: Mapping[str, Any], space: spaces.Space[Any]) -> NoveltyModel:
    """The model that a state is of, whichever kind that is.

    Args:
        state: What `NoveltyModel.state_dict` gave.
        space: The observation space.

    Raises:
        CheckpointError: The state is no novelty model's, or damaged.

    Example:
        >>> space = spaces.Box(-1, 1, (3,))
        >>> type(model_of(RNDModel(space).state_dict(), space)).__name__
        'RNDModel'
    """
    kinds: dict[str, type[NoveltyModel]] = {"RNDModel": RNDModel, "CNDModel": CNDModel}
    with refusing_malformed("This is the state of no novelty model", "Save one with its save()."):
        kind = kinds[state["signature"]["model"]]
    return _made(kind, space, state, {})


def _made(
    kind: type[NoveltyModel],
    space: spaces.Space[Any],
    state: Mapping[str, Any],
    settings: Mapping[str, Any],
) -> NoveltyModel:
    """The model that a state from a file is of, with some settings in place of its own."""
    with refusing_malformed("The settings in the state of a novelty model are damaged"):
        saved = dict(state["settings"])
        if str(saved.get("device")).startswith("cuda") and not torch.cuda.is_available():
            saved["device"] = "auto"
        with no_larger_than(state):
            model = kind(space, **{**saved, **settings})
    model.load_state_dict(state)
    return model
