"""Demonstrations from and to Minari datasets (https://minari.farama.org)."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np

from hxwrappers._utils.checks import brief
from hxwrappers._utils.modules import import_optional
from hxwrappers.demos.demo import Demo
from hxwrappers.demos.recording import DemoRecording
from hxwrappers.errors import DemoError, InvalidArgumentError

if TYPE_CHECKING:
    from minari import MinariDataset


# Minari itself makes folders for other ids, and then lists no dataset at all any more.
_ID = re.compile(r"(?:[-\w](?:/?[-\w])+/)?[-\w]+-v\d+")


def demos_from_minari(
    dataset: MinariDataset | str,
    *,
    env: gym.Env[Any, Any] | None = None,
    episodes: Sequence[int] | None = None,
    snapshot_every: int = 50,
    progress: Callable[[int, int], object] | None = None,
) -> list[Demo]:
    """Turn episodes of a Minari dataset into demonstrations, replaying each to check it.

    The ends are those of the replay: an episode that its collector cut off goes on, if asked to.

    Args:
        dataset: The dataset, or the id of a local one.
        env: The environment that the dataset was made in; made from the dataset's spec if None.
        episodes: The ids of the episodes, in the order in which they are wanted; all if None.
        snapshot_every: Steps between two snapshots.
        progress: Called with the number of episodes done, and of all, for each.

    Returns:
        One demonstration per episode.

    Raises:
        InvalidArgumentError: The dataset has no such episode.
        DemoError: The dataset names no environment, or an episode no seed.
        DemoError: The replay gives other rewards or ends than the dataset has.
        gymnasium.error.DependencyNotInstalled: Minari is not installed.
    """
    minari = _import_minari()
    loaded = minari.load_dataset(dataset) if isinstance(dataset, str) else dataset
    name = str(loaded.spec.dataset_id)
    if env is None:
        if loaded.spec.env_spec is None:
            raise DemoError(
                f"The dataset {name} does not say which environment it was made in; give it as env."
            )
        env = loaded.recover_environment()
    known = [int(index) for index in loaded.episode_indices]
    wanted = known if episodes is None else list(episodes)
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise InvalidArgumentError(
            f"The dataset {name} has no episode {brief(unknown, 60)}; its ids are "
            f"{brief(known, 60)}."
        )
    details = list(loaded.storage.get_episode_metadata(wanted))
    recording = DemoRecording(env, snapshot_every=snapshot_every, made_by={"dataset": name})
    demos = []
    for episode, detail in zip(loaded.iterate_episodes(wanted), details, strict=True):
        demos.append(_record(recording, episode, detail, f"episode {episode.id} of {name}"))
        if progress is not None:
            progress(len(demos), len(details))
    return demos


def demos_to_minari(
    demos: Iterable[Demo],
    dataset_id: str,
    env: gym.Env[Any, Any],
    **dataset_arguments: Any,
) -> MinariDataset:
    """Write demonstrations to a Minari dataset, replaying each for its observations.

    Observations are stored exactly (`jpeg_encoding=False`). Rewards are the environment's own
    (extrinsic) ones, as recorded. Snapshots are not part of a dataset; seeds are. A demonstration
    that stops before its episode ends is stored as truncated there, since readers that join all
    episodes look for their ends; `demos_from_minari` makes of it what it was. One demonstration's
    observations are held in memory at a time.

    Args:
        demos: The demonstrations, all made in the kind of environment that `env` is.
        dataset_id: The new dataset's id, for example `"montezuma/demos-v0"`.
        env: The environment to replay in, at the level at which they were recorded.
        **dataset_arguments: Further arguments of `minari.create_dataset_from_buffers`, for example
            `author`.

    Returns:
        The dataset.

    Raises:
        InvalidArgumentError: There are no demonstrations, the id is malformed or taken, or Minari
            cannot store the environment's spaces.
        DemoError: A demonstration is of another kind of environment.
        DemoError: A replay gives other rewards than were recorded.
        gymnasium.error.DependencyNotInstalled: Minari is not installed.
    """
    minari = _import_minari()
    if not _ID.fullmatch(dataset_id):
        raise InvalidArgumentError(
            f"{dataset_id!r} is no id of a Minari dataset. Write namespace/name-v0, for example "
            "montezuma/demos-v0, in letters, digits, - and _; the namespace may be left out."
        )
    folder = _new_folder(dataset_id)
    for name in ("observation_space", "action_space"):
        _check_storable(dataset_arguments.get(name) or getattr(env, name))
    dataset: Any = None
    begun = False
    try:
        for demo in demos:
            buffer = _episode(demo, env)
            if dataset is None:
                _new_folder(dataset_id)  # another process may have made it during the replay
                begun = True
                dataset = minari.create_dataset_from_buffers(
                    dataset_id, [buffer], env=env, jpeg_encoding=False, **dataset_arguments
                )
            else:
                dataset.storage.update_episodes([buffer])
    except BaseException:
        if begun:  # half a dataset would look like a whole one, or break the list of all
            shutil.rmtree(folder, ignore_errors=True)
        raise
    if dataset is None:
        raise InvalidArgumentError("There are no demonstrations to write to a dataset.")
    return minari.load_dataset(dataset_id)


def _new_folder(dataset_id: str) -> Path:
    from minari.storage import get_dataset_path  # noqa: PLC0415 - optional

    folder = Path(get_dataset_path(dataset_id))
    if folder.exists():
        raise InvalidArgumentError(
            f"There is a dataset {dataset_id} already ({folder}); give another id, or delete it "
            "first."
        )
    return folder


def _check_storable(space: gym.Space[Any]) -> None:
    from minari.serialization import serialize_space  # noqa: PLC0415 - optional

    try:
        serialize_space(space)
    except NotImplementedError as error:
        raise InvalidArgumentError(
            f"Minari cannot store all of {space} ({error}). Export demonstrations that were "
            "recorded with a wrapper that leaves that part out, for example gymnasium's "
            "FilterObservation or MiniGrid's ImgObsWrapper."
        ) from error


def _record(recording: DemoRecording, episode: Any, detail: dict[str, Any], name: str) -> Demo:
    seed = detail.get("seed")
    if seed is None:
        raise DemoError(
            f"{name} has no seed, so it cannot be replayed from its start. Collect datasets with "
            "env.reset(seed=...) in each episode."
        )
    options = detail.get("options")
    recording.reset(seed=int(seed), options=options if isinstance(options, dict) else None)
    space = recording.env.action_space
    for step in range(len(episode)):
        action = episode.actions[step]
        taken = int(action) if isinstance(space, gym.spaces.Discrete) else action
        _, reward, terminated, truncated, _ = recording.step(taken)
        replayed = (reward, terminated, truncated)
        recorded = (
            float(episode.rewards[step]),
            bool(episode.terminations[step]),
            bool(episode.truncations[step]),
        )
        last = step + 1 == len(episode)
        if replayed[0] != recorded[0] or (replayed != recorded and not last):
            raise DemoError(
                f"{name}: the replay gives {replayed} at step {step + 1}, but the dataset has "
                f"{recorded} (reward, termination, truncation). The environment's version or "
                "settings are not the dataset's, or it is not reproducible."
            )
        if any(replayed[1:]) and not last:
            break
    return recording.demo(tool="demos_from_minari", episode=int(episode.id))


def _episode(demo: Demo, env: gym.Env[Any, Any]) -> Any:
    from minari.data_collector import EpisodeBuffer  # noqa: PLC0415 - optional

    player = demo.player(env)
    observations = [player.restore(0)]
    actions = []
    for transition in player.replay(0, len(demo)):
        observations.append(transition.observation)
        actions.append(transition.action)
        if transition.reward != demo.rewards[transition.step - 1]:
            raise DemoError(
                f"The replay gives the reward {transition.reward} at step {transition.step}, but "
                f"{demo.rewards[transition.step - 1]} was recorded; nothing was written for it."
            )
    truncations = demo.truncations.tolist()
    if truncations:
        truncations[-1] = truncations[-1] or not demo.ended
    return EpisodeBuffer(
        seed=demo.metadata.seed,
        options=demo.metadata.options,
        observations=_columns(observations, env.observation_space),
        actions=_columns(actions, env.action_space),
        rewards=demo.rewards.tolist(),
        terminations=demo.terminations.tolist(),
        truncations=truncations,
    )


def _columns(values: list[Any], space: gym.Space[Any]) -> Any:
    """A list per leaf of the space, as Minari stores them."""
    if isinstance(space, gym.spaces.Dict):
        return {key: _columns([value[key] for value in values], space[key]) for key in space}
    if isinstance(space, gym.spaces.Tuple):
        return tuple(
            _columns([value[index] for value in values], part) for index, part in enumerate(space)
        )
    if isinstance(space, gym.spaces.Text):
        return values
    return list(np.asarray(values))


def _import_minari() -> Any:
    needed_by = "Minari datasets need Minari"
    import_optional("h5py", needed_by, "minari")  # Minari needs it for its files
    return import_optional("minari", needed_by, "minari")
