"""Snapshots of Atari games in the Arcade Learning Environment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, cast

import gymnasium as gym
import numpy as np

from hxwrappers.demos.capture import GeneratorState, apply, capture
from hxwrappers.demos.snapshots.ale_layout import is_frame_finished
from hxwrappers.demos.snapshots.ale_state import check_against, parse_ale_state
from hxwrappers.demos.snapshots.base import LayeredSnapshotter, Snapshot
from hxwrappers.demos.snapshots.layers import NEUTRAL_LAYERS, layer_name
from hxwrappers.errors import SnapshotError

if TYPE_CHECKING:
    from ale_py.env import AtariEnv

__all__ = ["AleSnapshotter"]

_FRAMES_TO_FINISH = 32


class AleSnapshotter(LayeredSnapshotter):
    """Freezes `ale_py.env.AtariEnv` and the wrappers around it.

    Three things that the emulator's own state leaves out are taken care of. The generator of
    sticky actions is part of the snapshot where there are sticky actions. The action that would
    stick is not readable, so `exact_now()` is false at the steps (a share of the repeat
    probability) at which the next frame would use it. And a frame that the game has not finished
    cannot be restored (Q*bert and Tetris right after a reset), so `exact_now()` is false then too.

    The screen shows the frame before the restore until the next step; RAM is right at once.

    Args:
        env: An environment around an `AtariEnv`.
    """

    family: ClassVar[str] = "ale"

    def __init__(self, env: gym.Env[Any, Any]) -> None:
        super().__init__(env)
        self._base = cast("AtariEnv", env.unwrapped)
        self._stickiness = float(self._base.ale.getFloat("repeat_action_probability"))

    @classmethod
    def supports(cls, env: gym.Env[Any, Any]) -> bool:
        """Whether the innermost environment is an `AtariEnv`."""
        return any(
            kind.__module__ == "ale_py.env" and kind.__name__ == "AtariEnv"
            for kind in type(env.unwrapped).__mro__
        )

    @contextmanager
    def unseen(self) -> Iterator[None]:
        """A context whose steps show the RAM, a quarter cheaper than the screen in colours.

        Only where no wrapper makes something of the observations.
        """
        # The checker looks at the first observation after it was made, and must know it again.
        neutral = all(
            layer_name(layer) in NEUTRAL_LAYERS and getattr(layer, "checked_step", True)
            for layer in self._layers
        )
        shown = self._base._obs_type
        if neutral and type(self._base).__module__ == "ale_py.env":
            self._base._obs_type = "ram"
        try:
            yield
        finally:
            self._base._obs_type = shown

    def exact_now(self) -> bool:
        """Whether the frame is finished and the next one does not repeat an unreadable action."""
        state = self._serialised()
        if not is_frame_finished(state):
            return False
        return not self._stickiness or self._is_after_reset() or self._next_action_is_taken(state)

    def describe(self) -> dict[str, Any]:
        """Game, ROM, action set, frame skip, stickiness, mode and difficulty."""
        state = parse_ale_state(self._serialised(), finished=False)
        skip = self._base._frameskip
        return {
            "game": self._base._game,
            "rom_md5": state.md5.decode("latin1"),
            "actions": list(self._base.get_action_meanings()),
            "frame_skip": skip if isinstance(skip, int) else list(skip),
            "repeat_action_probability": round(self._stickiness, 6),
            "mode": state.mode[0],
            "difficulty": state.mode[1],
        }

    def freeze_base(self) -> dict[str, Any]:
        """The emulator's state and the environment's own generator."""
        return {
            "state": self._serialised(),
            "after_reset": bool(self._stickiness) and self._is_after_reset(),
            "np_random": capture(self._base._np_random),
        }

    def thaw_base(self, base: Any) -> None:
        """Restore the emulator and the environment's own generator."""
        import ale_py  # noqa: PLC0415 - optional; it is there, since the environment is

        if base["after_reset"]:
            # Only a reset makes the action that would stick a known one: no action.
            self._base.ale.reset_game()
        self._finish_frame()
        self._base.restore_state(ale_py.ALEState(base["state"]))
        if base["np_random"] is not None:
            self._base._np_random = apply(self._base._np_random, base["np_random"], "np_random")

    def fingerprint(self, snapshot: Snapshot) -> bytes | None:
        """Bytes that are equal for equal states."""
        if isinstance(self._base._frameskip, int):
            # Nothing draws from the environment's generator then but wrappers at a reset.
            snapshot = replace(snapshot, base={**snapshot.base, "np_random": None})
        return super().fingerprint(snapshot)

    def check_base(self, base: Any) -> Any:
        """Check every field of a state from a file against the running emulator."""
        match base:
            case {
                "state": bytes(state),
                "after_reset": bool(),
                "np_random": None | GeneratorState(),
            } if len(base) == 3:
                template = parse_ale_state(self._serialised(), finished=False)
                fitting = parse_ale_state(state).in_layout_of(template)
                check_against(fitting, template)
                return {**base, "state": fitting.serialise()}
            case _:
                raise SnapshotError("The snapshot does not have the form of an ALE snapshot.")

    def _serialised(self) -> bytes:
        state = self._base.clone_state(include_rng=bool(self._stickiness))
        return state.serialize()

    def _is_after_reset(self) -> bool:
        return int(self._base.ale.getEpisodeFrameNumber()) == 0

    def _finish_frame(self) -> None:
        """Bring the emulator to a place from which any finished state can be restored."""
        import ale_py  # noqa: PLC0415 - optional; it is there, since the environment is

        for frame in range(2 * _FRAMES_TO_FINISH):
            if is_frame_finished(self._serialised()):
                return
            if frame == _FRAMES_TO_FINISH:
                self._base.ale.reset_game()
            self._base.ale.act(ale_py.Action.NOOP)
        raise SnapshotError(
            f"{self._base._game} does not finish its frames, so no state can be restored in it."
        )

    def _next_action_is_taken(self, state: bytes) -> bool:
        text = parse_ale_state(state).sticky_generator
        if text is None:
            return False
        words = np.array(text.split(), dtype=np.uint64)
        generator = np.random.MT19937()
        generator.state = {
            "bit_generator": "MT19937",
            "state": {"key": words[:-1].astype(np.uint32), "pos": int(words[-1])},
        }
        return bool(generator.random_raw() / 2**32 >= self._stickiness)
