"""Wrappers of Atari games: a frame skip that draws less, and the rooms visited."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, SupportsFloat

import gymnasium as gym
from gymnasium.core import ActType, ObsType
from gymnasium.wrappers import (
    AtariPreprocessing,
    OrderEnforcing,
    PassiveEnvChecker,
    RecordEpisodeStatistics,
    TimeLimit,
)

from hxwrappers.bridge.environments import TrainingSwitch
from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.snapshots.base import layers_of
from hxwrappers.wrappers import DemoResetCurriculum

_BLIND = (
    DemoResetCurriculum,
    OrderEnforcing,
    PassiveEnvChecker,
    RecordEpisodeStatistics,
    TimeLimit,
)
"""Wrappers that hand observations through and look at none."""


class SkippedFrames(AtariPreprocessing):
    """`gymnasium.wrappers.AtariPreprocessing`, which makes no picture of a frame that it drops.

    That wrapper asks the emulator itself for the grey screens of the last two frames, while the
    game makes a picture in colours of every frame, a fifth of the time of a step. Here the game
    hands out its RAM meanwhile, which costs nothing, wherever nothing between the two looks at it.
    Observations, rewards, ends and infos are the same.
    """

    unrestored = ("_in_ram",)
    _in_ram: bool | None = None

    def step(self, action: Any) -> tuple[Any, SupportsFloat, bool, bool, dict[str, Any]]:
        """Play the frames of a step."""
        game: Any = self.unwrapped
        shown = game._obs_type
        if self._nobody_looks():
            game._obs_type = "ram"
        try:
            return super().step(action)
        finally:
            game._obs_type = shown

    def _nobody_looks(self) -> bool:
        """Whether the layers between hand observations on without a look at them."""
        if self._in_ram is None:
            layers = layers_of(self.env)
            if not all(getattr(layer, "checked_step", True) for layer in layers):
                return False  # Gymnasium's checker has yet to see its first observation
            game = self.unwrapped
            self._in_ram = type(game).__module__ == "ale_py.env" and all(
                isinstance(layer, _BLIND) for layer in layers
            )
        return self._in_ram


ROOM_BYTES = {"montezuma_revenge": 3, "pitfall": 1}
"""The byte of the RAM that holds the number of the room, by game."""


class RoomTracker(
    TrainingSwitch,
    gym.Wrapper[ObsType, ActType, ObsType, ActType],
    gym.utils.RecordConstructorArgs,
):
    """Writes the room and the number of different rooms so far into the info.

    Rooms visited is the measure of progress in Montezuma's Revenge (24 rooms on its first level).
    `info["room"]` is the number of the room in the emulator's RAM, 0 to 255, and
    `info["rooms_visited"]` how many different ones this wrapper has seen in its life, over all
    episodes. Wrap single environments, also those inside a `SyncVectorEnv` or `AsyncVectorEnv`;
    `AtariVectorEnv` does not give access to the RAM.

    Args:
        env: An `ale_py` environment, wrapped or not.
        ram_byte: The index of the byte that holds the room, 0 to 127; None looks the game up in
            `ROOM_BYTES`.

    Attributes:
        rooms: The set of rooms visited.

    Raises:
        InvalidArgumentError: No emulator below, a game that is not in `ROOM_BYTES`, or an index
            outside the RAM.

    Example:
        >>> import ale_py, gymnasium as gym
        >>> gym.register_envs(ale_py)
        >>> env = RoomTracker(gym.make("ALE/MontezumaRevenge-v5"))
        >>> env.reset(seed=0)[1]["room"], env.rooms
        (1, {1})
    """

    def __init__(self, env: gym.Env[ObsType, ActType], ram_byte: int | None = None) -> None:
        gym.utils.RecordConstructorArgs.__init__(self, ram_byte=ram_byte)
        gym.Wrapper.__init__(self, env)
        if not hasattr(getattr(env.unwrapped, "ale", None), "getRAM"):
            raise InvalidArgumentError(
                f"{env} has no Atari emulator whose RAM could be read. Wrap an environment made "
                'by gymnasium.make("ALE/...") or hxwrappers.envs.make_atari.'
            )
        if ram_byte is None:
            game = getattr(env.unwrapped, "_game", None)
            if game not in ROOM_BYTES:
                raise InvalidArgumentError(
                    f"It is not known where {game!r} keeps its room (known: "
                    f"{', '.join(ROOM_BYTES)}). Pass ram_byte."
                )
            ram_byte = ROOM_BYTES[game]
        if not 0 <= ram_byte < 128:
            raise InvalidArgumentError(
                f"ram_byte is {ram_byte}, but the RAM of an Atari has the bytes 0 to 127."
            )
        self._ram_byte = ram_byte
        self.rooms: set[int] = set()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Begin an episode; the rooms visited before it stay visited."""
        observation, info = super().reset(seed=seed, options=options)
        return observation, self._with_room(info)

    def step(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """Step and note the room."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return observation, reward, terminated, truncated, self._with_room(info)

    def state_dict(self) -> dict[str, Any]:
        """Return the rooms visited."""
        return {"rooms": sorted(self.rooms)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from the rooms that `state_dict` returned.

        Raises:
            CheckpointError: The state holds no list of rooms.
        """
        rooms = state.get("rooms")
        if not isinstance(rooms, list) or not all(isinstance(room, int) for room in rooms):
            raise CheckpointError(
                f"The state of a RoomTracker holds rooms={rooms!r}, but must hold a list of room "
                "numbers as state_dict() returns it."
            )
        self.rooms = set(rooms)

    def _with_room(self, info: dict[str, Any]) -> dict[str, Any]:
        emulator: Any = self.unwrapped
        room = int(emulator.ale.getRAM()[self._ram_byte])
        self.rooms.add(room)
        return {**info, "room": room, "rooms_visited": len(self.rooms)}
