"""MiniGrid as the pictures that agents for Atari take: four grey frames, there of 84 x 84."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import numpy.typing as npt
from gymnasium import spaces
from gymnasium.wrappers import FrameStackObservation, TransformReward
from minigrid.core.grid import Grid
from minigrid.core.world_object import WorldObj

from hxwrappers.envs.minigrid import CODES, make_minigrid

__all__ = ["make_pictures"]

FRAMES = 4
GREY = np.array([0.299, 0.587, 0.114])


class _Pictures(gym.ObservationWrapper[Any, Any, Any]):
    """Draws the view ahead with MiniGrid's own tiles, within a black edge where these leave one."""

    def __init__(self, env: gym.Env[Any, Any], side: int) -> None:
        super().__init__(env)
        cells: int = self.env.observation_space.shape[-1]  # type: ignore[index]
        self._tile = tile = side // cells
        rest = side % cells
        self._edge = (rest // 2, rest - rest // 2)
        self.observation_space = spaces.Box(0, 255, (side, side), np.uint8)
        self._tiles = np.zeros((*CODES, tile, tile), np.uint8)
        self._drawn = np.zeros(CODES, bool)

    def observation(self, observation: Any) -> npt.NDArray[np.uint8]:
        codes = observation.transpose(1, 2, 0)
        for code in {tuple(each) for each in codes.reshape(-1, 3).tolist()}:
            if not self._drawn[code]:
                drawn = Grid.render_tile(WorldObj.decode(*code), tile_size=self._tile)
                self._tiles[code] = drawn @ GREY
                self._drawn[code] = True
        tiles = self._tiles[codes[..., 0], codes[..., 1], codes[..., 2]]
        rows, columns = (count * self._tile for count in codes.shape[:2])
        return np.pad(tiles.swapaxes(1, 2).reshape(rows, columns), self._edge)


def make_pictures(task: str, level_seed: int, side: int) -> gym.Env[Any, Any]:
    """One level of a task, `(4, side, side)` of uint8, newest frame last; a success is worth 1."""
    env = _Pictures(make_minigrid(task, level_seed=level_seed, encoding="codes"), side)
    return TransformReward(FrameStackObservation(env, FRAMES), np.sign)  # type: ignore[arg-type]
