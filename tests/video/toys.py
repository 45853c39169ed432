"""A walk that can be seen, and an embedder that sees where one stands."""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces

from hxwrappers.files.checkpoints import load_checkpoint, save_checkpoint
from hxwrappers.video import DecodedClip

PLACES = 40


def picture(place: int, size: tuple[int, int] = (42, 40)) -> np.ndarray:
    """One bright column block at the place, red in the first half of the walk and green later."""
    frame = np.zeros((*size, 3), np.uint8)
    column = place % (PLACES // 2)
    width = size[1] / (PLACES // 2)
    left, right = round(column * width), max(round((column + 1) * width), round(column * width) + 1)
    frame[:, left:right, int(place >= PLACES // 2)] = 255
    return frame


class Walk(gym.Env[Any, int]):
    """Goes right (1), stays (0) or goes left (2); now and then the floor slips one to the right.

    Observes the place as a number, or as a picture. The reward is the action.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 15}

    def __init__(
        self,
        render_mode: str | None = None,
        length: int = 6,
        seen: bool = False,
        slips: float = 0.3,
    ) -> None:
        self.render_mode = render_mode
        self.length, self.seen, self.slips = length, seen, slips
        self.action_space = spaces.Discrete(3)
        self.observation_space = (
            spaces.Box(0, 255, (42, 40, 3), np.uint8)
            if seen
            else spaces.Box(0, PLACES, (1,), np.float32)
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.place = self.steps = 0
        self.ends = self.length + int(self.np_random.integers(0, 3)) if self.slips else self.length
        return self._observation(), {}

    def step(self, action: int):
        slip = int(self.np_random.random() < self.slips) if self.slips else 0
        move = {0: 0, 1: 1, 2: -1}[int(action)] + slip
        self.place = int(np.clip(self.place + move, 0, PLACES - 1))
        self.steps += 1
        over = self.steps >= self.ends
        return self._observation(), float(action), over and self.ends % 2 == 0, over, {}

    def render(self):
        return picture(self.place)

    def _observation(self):
        return picture(self.place) if self.seen else np.array([self.place], np.float32)


gym.register("HxWalk-v0", entry_point="tests.video.toys:Walk")


def make_walk(**kwargs: Any) -> gym.Env[Any, int]:
    return gym.make("HxWalk-v0", render_mode="rgb_array", **kwargs)


def demonstration(places: int = PLACES) -> DecodedClip:
    """A walk from end to end, one place a frame."""
    frames = np.stack([picture(place, (20, 20)) for place in range(places)])
    return DecodedClip("walk", frames, 15.0, np.zeros(0, np.float32), 16_000)


class PlaceEmbedder(torch.nn.Module):
    """Sees in the newest frame where the picture is bright and in which colour, blurred a little.

    A real network in miniature: one fixed convolution, then length 1.
    """

    frame_size = (20, 20)
    history = 4
    dimension = 40

    def __init__(self, blur: float = 0.1) -> None:
        super().__init__()
        self.blur = torch.nn.Conv1d(2, 2, 3, padding=1, groups=2, bias=False)
        with torch.no_grad():
            self.blur.weight[:] = torch.tensor([blur, 1.0, blur])
        self.batches: list[int] = []

    @torch.inference_mode()
    def embed(self, stacks: torch.Tensor) -> torch.Tensor:
        assert stacks.dtype == torch.uint8
        assert stacks.shape[1:] == (4, 20, 20, 3)
        self.batches.append(len(stacks))
        columns = stacks[:, -1, :, :, :2].float().mean(1).permute(0, 2, 1) / 255
        return torch.nn.functional.normalize(self.blur(columns).flatten(1), dim=1)

    def embed_clip(self, clip: DecodedClip) -> np.ndarray:
        stacks = torch.tensor(np.array(clip.frames))[:, None].expand(-1, 4, -1, -1, -1)
        return self.embed(stacks).numpy()

    def save(self, path) -> None:
        save_checkpoint(path, "PlaceEmbedder", {"weights": self.state_dict()})

    @classmethod
    def load(cls, path) -> PlaceEmbedder:
        embedder = cls()
        embedder.load_state_dict(load_checkpoint(path, "PlaceEmbedder")["weights"])
        return embedder
