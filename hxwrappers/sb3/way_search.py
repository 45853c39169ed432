"""A search by novelty beside training, whose ways episodes start on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback

from hxwrappers._utils.checks import require_count, require_range
from hxwrappers.files.checkpoints import checkpoint_errors
from hxwrappers.sb3.novelty_resets import require_resets
from hxwrappers.search import NoveltySearch
from hxwrappers.search.cells import Limits
from hxwrappers.search.cells.archive import Entry


class WaySearch(BaseCallback):
    """Searches for a way to a reward while the agent has none to learn.

    Before a rollout, as long as `VecNoveltyResets` knows no way, and again once half of the agent's
    games earn the reward of those that it knows, the search goes on for some frames.
    The best way that it has found is shortened and given to `VecNoveltyResets.add_demo`, so that
    episodes start on it, ever earlier; the very first is the shorter of two searches. Once the
    agent has learned it, another search goes on from the states on it, so that the next way
    continues what the agent can do. A way that the agent does not learn gets another of the same
    score beside it, from a search with other draws.
    Go-Explore (Ecoffet et al. 2021, arXiv 2004.12919) searches and learns so, one after the other;
    here both take turns.

    A search takes many more steps for each second than training does, since no policy plays and
    little is learned: Montezuma's first key takes it 100,000 to 600,000 frames.

    A `TrainingRun` keeps the search in its checkpoint.

    Args:
        search: The first search, of the game that the agent plays, with rewards as they are there.
        first_frames: Frames of the emulator that it may take without any from the agent. Later it
            may have taken so many more than the agent's games.
        frames: Frames of the emulator before one rollout.
        shorten_frames: Frames in which a way found is made shorter.
        patience: The agent's steps in which it may learn the ways that it has, before another of
            their score is searched for.
        searches: Searches for the very first way, with other draws each. Ways to the same reward
            differ by a factor of two in length and more, and a way that is twice as long takes the
            agent many times longer to learn.

    Raises:
        InvalidArgumentError: A number is out of range, or, when training begins, there is no
            `VecNoveltyResets`.

    Example:
        >>> from hxwrappers.envs import make_atari
        >>> from hxwrappers.search import NoveltySearchSettings
        >>> from hxwrappers.sb3 import DualValuePPO, VecNoveltyResets, VecRNDBonus, from_vector_env
        >>> games = make_atari("freeway", screen_size=42, num_envs=2, num_workers=0,
        ...                    backend="restorable")
        >>> envs = VecNoveltyResets(VecRNDBonus(from_vector_env(games), net="compact"))
        >>> model = DualValuePPO("CnnPolicy", envs, n_steps=16, batch_size=16)
        >>> search = NoveltySearch(NoveltySearchSettings("ALE/Freeway-v5"))
        >>> model = model.learn(32, callback=WaySearch(search, frames=2_000, shorten_frames=0))
        >>> search.progress.steps >= 2_000
        True
    """

    def __init__(
        self,
        search: NoveltySearch,
        first_frames: int = 2_000_000,
        frames: int = 100_000,
        shorten_frames: int = 200_000,
        patience: int = 250_000,
        searches: int = 2,
    ) -> None:
        super().__init__()
        require_range("first_frames", first_frames, minimum=0)
        require_range("frames", frames, minimum=1)
        require_range("shorten_frames", shorten_frames, minimum=0)
        require_range("patience", patience, minimum=1)
        require_count("searches", searches, 1)
        self.search = search
        self.patience, self.searches = patience, searches
        self._earlier_frames = 0
        self._shown = b""  # the way given last, until it is learned
        self._shortest, self._length, self._over = b"", 0, 0  # of the first searches
        self._known, self._since = 0.0, 0  # score to learn, and the step at which it was new
        self._is_stalled = False
        self.first_frames, self.frames = first_frames, frames
        self.shorten_frames = shorten_frames

    def _on_rollout_start(self) -> None:
        resets = require_resets(self.training_env, "WaySearch")
        archive = resets.archive
        known = archive.score if archive.ways else 0.0
        if known != self._known:
            self._known, self._since, self._is_stalled = known, self.num_timesteps, False
        learned = not archive.ways or archive.has_learned
        if learned:
            self._is_stalled = False
            if self._shown:
                self._go_on_with(self.search.from_way(self._shown))
                self._shown = b""
        elif not self._is_stalled and not self._compares:
            if self.num_timesteps - self._since < self.patience:
                return
            self._go_on_with(self.search.again())
            self._is_stalled = True
        allowed = self.first_frames + resets.frame_skip * self.num_timesteps
        if not self._has_found(known) and self.searched_frames < allowed:
            # One like those that are not learned is wanted, and none that goes on elsewhere.
            enough = known if self._is_stalled else None
            self.search.run(Limits(steps=self.search.progress.steps + self.frames, score=enough))
        self.logger.record("exploration/searched_frames", self.searched_frames)
        if self._compares or not archive.ways:
            way = self._first_way()
        else:
            found = self._has_found(known)
            way = self.search.shortened(self.search.best, self.shorten_frames) if found else None
        if way is None:
            return
        resets.add_demo(self.search.way_to_demo(way))
        self._shown = way.node.trajectory()
        self._since, self._is_stalled = self.num_timesteps, False

    @property
    def _compares(self) -> bool:
        """Whether the first searches go on although one has found a way."""
        return bool(self._shortest) and self._over < self.searches

    def _first_way(self) -> Entry | None:
        """The shortest way of the first searches; None while they go on."""
        search = self.search
        is_over = self._compares and search.progress.steps >= self.first_frames // 8
        if search.best.score > 0:
            way = search.shortened(search.best, self.shorten_frames)
            if not self._shortest or way.length < self._length:
                self._shortest, self._length = way.node.trajectory(), way.length
        elif not is_over:
            return None
        self._over += 1
        self._go_on_with(search.again())
        return search.from_way(self._shortest).best if self._over == self.searches else None

    def _has_found(self, known: float) -> bool:
        """Whether the search has a way that is worth to be shown where one of a score is known."""
        score = self.search.best.score
        return score > known or (self._is_stalled and score == known)

    def _go_on_with(self, search: NoveltySearch) -> None:
        self._earlier_frames = self.searched_frames
        self.search = search

    @property
    def searched_frames(self) -> int:
        """Frames of the emulator that searches took so far."""
        return self._earlier_frames + self.search.progress.steps

    def _on_step(self) -> bool:
        return True

    def state_dict(self) -> dict[str, Any]:
        """The search, and what it waits for, for a checkpoint of the training."""
        return {
            "search": self.search.state_dict(),
            "earlier_frames": self._earlier_frames,
            "shown": torch.tensor(list(self._shown), dtype=torch.uint8),
            "shortest": torch.tensor(list(self._shortest), dtype=torch.uint8),
            "first": [self._length, self._over],
            "known": self._known,
            "since": self._since,
            "is_stalled": self._is_stalled,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave.

        Raises:
            DemoError: It is of a search with other settings.
            CheckpointError: It is damaged.
        """
        with checkpoint_errors("This is no state of a WaySearch"):
            search, shown = state["search"], state["shown"].numpy().tobytes()
            numbers = int(state["earlier_frames"]), float(state["known"]), int(state["since"])
            is_stalled = bool(state["is_stalled"])
            shortest, (length, over) = state["shortest"].numpy().tobytes(), state["first"]
        self.search.load_state_dict(search)
        self._earlier_frames, self._known, self._since = numbers
        self._shown, self._is_stalled = shown, is_stalled
        self._shortest, self._length, self._over = shortest, int(length), int(over)
