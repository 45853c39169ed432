"""Snapshots of MuJoCo simulations."""

from __future__ import annotations

import inspect
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from hxwrappers.errors import SnapshotError
from hxwrappers.snapshots.base import LayeredSnapshotter
from hxwrappers.snapshots.capture import Unchanged, apply, capture

# What rewards and observations read; all of a size that the model sets. Contacts and constraints,
# whose sizes vary, are rebuilt by the next step before anything reads them.
_DERIVED = (
    "actuator_force",
    "actuator_length",
    "actuator_velocity",
    "cacc",
    "cdof",
    "cdof_dot",
    "cfrc_ext",
    "cfrc_int",
    "cinert",
    "cvel",
    "geom_xmat",
    "geom_xpos",
    "qacc",
    "qacc_smooth",
    "qfrc_actuator",
    "qfrc_bias",
    "qfrc_constraint",
    "qfrc_passive",
    "qfrc_smooth",
    "sensordata",
    "site_xmat",
    "site_xpos",
    "subtree_angmom",
    "subtree_com",
    "subtree_linvel",
    "ten_length",
    "ten_velocity",
    "xanchor",
    "xaxis",
    "ximat",
    "xipos",
    "xmat",
    "xpos",
    "xquat",
)
_NOT_STATE = frozenset(
    {
        "_cached_spec",
        "_ezpickle_args",
        "_ezpickle_kwargs",
        "data",
        "metadata",
        "model",
        "mujoco_renderer",
        "spec",
    }
)
_OWN_CLASSES = "gymnasium.envs.mujoco."


class MujocoSnapshotter(LayeredSnapshotter):
    """Freezes `gymnasium.envs.mujoco.MujocoEnv` and the wrappers around it.

    The whole state that the integrator goes on from is kept (`mjSTATE_INTEGRATION`), and beside it
    the quantities derived from it, which lag behind by one substep and which some rewards read
    before the next one.

    Args:
        env: An environment around a `MujocoEnv`.
    """

    family: ClassVar[str] = "mujoco"

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._base: Any = env.unwrapped

    @classmethod
    def supports(cls, env: gym.Env[Any, Any]) -> bool:
        """Whether the innermost environment is a `MujocoEnv` on the `mujoco` package."""
        return any(
            kind.__module__ == "gymnasium.envs.mujoco.mujoco_env" and kind.__name__ == "MujocoEnv"
            for kind in type(env.unwrapped).__mro__
        )

    def freeze_base(self) -> dict[str, Any]:
        """The simulation's state, derived arrays, and the environment's own attributes."""
        import mujoco  # noqa: PLC0415 - optional; it is there, since the environment is

        model, data = self._base.model, self._base.data
        kind = mujoco.mjtState.mjSTATE_INTEGRATION
        state = np.empty(mujoco.mj_stateSize(model, kind), np.float64)
        mujoco.mj_getState(model, data, state, kind)
        return {
            "state": state,
            "derived": {name: value.copy() for name, value in _derived(data).items()},
            "attributes": _attributes(self._base),
        }

    def thaw_base(self, base: Any) -> None:
        """Restore the simulation and the environment's own attributes."""
        import mujoco  # noqa: PLC0415 - optional; it is there, since the environment is

        model, data = self._base.model, self._base.data
        mujoco.mj_setState(model, data, base["state"], mujoco.mjtState.mjSTATE_INTEGRATION)
        for name, live in _derived(data).items():
            if name in base["derived"]:
                live[...] = base["derived"][name]
        for name, value in base["attributes"].items():
            current = vars(self._base).get(name)
            vars(self._base)[name] = apply(current, value, f"{type(self._base).__name__}.{name}")

    def check_base(self, base: Any) -> Any:
        """Check that every array has the size that this model's has."""
        expected = self.freeze_base()
        match base:
            case {"state": np.ndarray() as state, "derived": dict(derived), "attributes": dict()}:
                same = _same(state, expected["state"]) and all(
                    name in expected["derived"] and _same(value, expected["derived"][name])
                    for name, value in derived.items()
                )
            case _:
                same = False
        if not same:
            raise SnapshotError(
                "The snapshot does not fit this MuJoCo model: its arrays have other names, sizes "
                "or types. Use an environment of the same model."
            )
        spared = _excluded_attributes(self._base)  # which files of older versions have
        own = {name: each for name, each in base["attributes"].items() if name not in spared}
        return {**base, "attributes": own}


def _same(value: object, expected: np.ndarray[Any, Any]) -> bool:
    return (
        isinstance(value, np.ndarray)
        and value.shape == expected.shape
        and value.dtype == expected.dtype
    )


def _derived(data: Any) -> dict[str, np.ndarray[Any, Any]]:
    return {name: getattr(data, name) for name in _DERIVED if hasattr(data, name)}


def _attributes(base: Any) -> dict[str, Any]:
    spared = _excluded_attributes(base)
    captured = {name: capture(value) for name, value in vars(base).items() if name not in spared}
    return {name: value for name, value in captured.items() if not isinstance(value, Unchanged)}


def _excluded_attributes(base: Any) -> frozenset[str]:
    """The attributes that are no state, arguments of Gymnasium's own classes among them.

    An environment keeps its own weights of rewards, say. What a class of somebody else keeps under
    the name of an argument may change as it is played.
    """
    names = {
        name
        for kind in type(base).__mro__
        if kind.__module__.startswith(_OWN_CLASSES)
        for name in inspect.signature(kind).parameters
    }
    return _NOT_STATE | {name for name in vars(base) if name.lstrip("_") in names}
