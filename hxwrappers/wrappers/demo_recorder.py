"""A wrapper that records demonstrations while anything at all plays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, SupportsFloat

import gymnasium as gym
import numpy as np
from gymnasium.core import ActType, ObsType

from hxwrappers.bridge.environments import TrainingSwitch, require_env
from hxwrappers.demos import Demo, DemoRecording, JournalWriter
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.files.generators import own_generator
from hxwrappers.snapshots.base import layers_of
from hxwrappers.wrappers.demo_reset_curriculum import DemoResetCurriculum

_SEEDS = 2**31


class DemoRecorder(
    TrainingSwitch,
    gym.Wrapper[ObsType, ActType, ObsType, ActType],
    gym.utils.RecordConstructorArgs,
):
    """Records each episode that a policy or a person plays, as a demonstration.

    Put it at the level at which the demonstration shall be used: inside frame skip and frame
    stacking for a recording frame by frame, outermost for one in the agent's own steps. What a
    novelty bonus below has learned is not forgotten by a rewind.

    Args:
        env: The environment to record.
        folder: Where to save each episode when it ends or is reset; nowhere if None.
        journal: A file to which each step is written at once; `recover_demos` makes
            demonstrations of it after a crash. None writes none.
        snapshot_every: Steps between two snapshots; a rewind replays half as many on average.
        seed_resets: Whether a reset without a seed gets one, from a generator of the recorder's
            own, so that every episode can be replayed from its start.

    Raises:
        InvalidArgumentError: `snapshot_every` is not positive, the actions are not numbers or
            arrays of them, or there is a curriculum below.
        DemoError: The journal is an existing file of another kind, or another recorder writes it.

    Example:
        >>> import gymnasium as gym
        >>> env = DemoRecorder(gym.make("FrozenLake-v1", is_slippery=False))
        >>> _ = env.reset(seed=0)
        >>> for action in (1, 1, 2, 2):
        ...     observation, *_ = env.step(action)
        >>> int(env.rewind(2)), len(env.demo())
        (8, 2)
    """

    def __init__(
        self,
        env: gym.Env[ObsType, ActType],
        folder: str | None = None,
        journal: str | None = None,
        snapshot_every: int = 50,
        seed_resets: bool = True,
    ) -> None:
        gym.utils.RecordConstructorArgs.__init__(
            self,
            folder=folder,
            journal=journal,
            snapshot_every=snapshot_every,
            seed_resets=seed_resets,
        )
        require_env(env, self)
        gym.Wrapper.__init__(self, env)
        if any(isinstance(layer, DemoResetCurriculum) for layer in layers_of(env)):
            raise InvalidArgumentError(
                "The DemoResetCurriculum below begins episodes inside a demonstration, so that "
                "there is no run to record from its start. Record in an environment without it."
            )
        self._folder = None if folder is None else Path(folder)
        self._journal = None if journal is None else JournalWriter(journal)
        self._seed_resets = seed_resets
        self._seeds = np.random.default_rng()
        self._saved = 0
        self.recording = DemoRecording(
            env,
            snapshot_every=snapshot_every,
            made_by={"tool": "DemoRecorder"},
            journal=self._journal,
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ObsType, dict[str, Any]]:
        """Save the episode so far, where there is a folder, and begin a new one."""
        self._save_to_folder()
        if seed is not None:
            self._seeds = own_generator(seed, "DemoRecorder")
        elif self._seed_resets:
            seed = int(self._seeds.integers(_SEEDS))
        return self.recording.reset(seed=seed, options=options)

    def step(self, action: ActType) -> tuple[ObsType, SupportsFloat, bool, bool, dict[str, Any]]:
        """Take a step and record it."""
        result = self.recording.step(action)
        if self.recording.ended:
            self._save_to_folder()
        return result

    def rewind(self, steps: int) -> ObsType:
        """Go back in time; what came after is forgotten.

        Args:
            steps: How many steps to go back; more than there are goes back to the start.

        Returns:
            The observation at the step gone back to.
        """
        observation: ObsType = self.recording.rewind(steps)
        return observation

    def resume(self, demo: Demo, step: int | None = None) -> ObsType:
        """Save the episode so far, where there is a folder, and go on from a demonstration.

        See `DemoRecording.resume`. It is saved as an episode of its own once it differs from the
        demonstration by a step or a rewind.
        """
        self._save_to_folder()
        observation: ObsType = self.recording.resume(demo, step)
        self.recording.saved = True  # all of it is in the demonstration
        return observation

    def demo(self) -> Demo:
        """The episode up to now as a demonstration."""
        return self.recording.demo()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the episode up to now.

        Args:
            path: The file to write.
        """
        self.demo().save(path)

    def close(self) -> None:
        """Save the episode so far, where there is a folder, and close the environment."""
        self._save_to_folder()
        if self._journal is not None:
            self._journal.close()
        super().close()

    def _save_to_folder(self) -> None:
        if self._folder is None or not len(self.recording) or self.recording.saved:
            return
        self.save(self._folder / f"demo-{os.getpid()}-{id(self):x}-{self._saved:06d}.npz")
        self._saved += 1
        self.recording.saved = True
