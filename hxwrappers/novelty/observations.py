"""Layouts of observations, which become frames for novelty networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from torch import Tensor

from hxwrappers._utils.image_axes import channels_are_first
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.novelty.encoding import SMALLEST_IMAGE, Encoding


@dataclass(frozen=True)
class ObservationLayout:
    """What one observation looks like and which part of it a novelty network sees.

    An image is reduced to its newest frame (facts of both papers: the bonus network sees one
    frame, the policy sees the stack) with the channels first; everything else becomes a vector.
    Make one with `ObservationLayout.of(space)`.

    Attributes:
        space: The space that observations come from.
        box: The Box that frames are cut from: the space, or that of its encoding.
        frame_shape: `(channels, height, width)` of an image, `(size,)` of a vector.
        channel_axis: Axis of the channels in a frame, None where there is none.
        newest_channels: How many channels, counted from the last, are the newest frame.
        encoding: How what is no Box becomes one, or None.
        halvings: How often the sides of an image are halved.
    """

    space: spaces.Space[Any]
    box: spaces.Box
    frame_shape: tuple[int, ...]
    channel_axis: int | None
    newest_channels: int
    encoding: Encoding | None = None
    halvings: int = 0

    @classmethod
    def of(
        cls,
        space: spaces.Space[Any],
        *,
        channel_axis: int | None = None,
        newest_channels: int | None = None,
    ) -> ObservationLayout:
        """Find the layout of a space.

        Two- and three-dimensional observations with both sides of 36 pixels or more are images,
        and so are four-dimensional ones, read as a stack of frames with the newest last. The
        smaller of the first and the last axis of a frame holds the channels. Four channels in
        front are read as four stacked grey frames, the newest last, as Atari's are; any others as
        one frame, which is scored whole. Smaller or flat observations (MiniGrid's 7x7x3 codes,
        joint angles) are vectors, and so is everything that is no Box (see `Encoding`).

        Args:
            space: The observation space.
            channel_axis: Axis of the channels in a frame where the guess above is wrong: 0 or 2.
            newest_channels: Channels of the newest frame of a stack: 1 for grey frames, 3 for RGB
                frames. The wrappers find them out by themselves where the environment tells how
                many frames it stacks.

        Raises:
            InvalidArgumentError: The space has parts that cannot be scored, or the channels cannot
                be told apart.
            InvalidArgumentError: `channel_axis` or `newest_channels` does not fit the space, or
                has no meaning for it.

        Example:
            >>> import numpy as np
            >>> stacked = spaces.Box(0, 255, (4, 84, 84), np.uint8)
            >>> ObservationLayout.of(stacked).frame_shape
            (1, 84, 84)
            >>> rgb_stack = spaces.Box(0, 255, (64, 64, 6), np.uint8)
            >>> ObservationLayout.of(rgb_stack, newest_channels=3).frame_shape
            (3, 64, 64)
            >>> ObservationLayout.of(spaces.Discrete(500)).frame_shape
            (500,)
            >>> ObservationLayout.of(spaces.Box(-1, 1, (17,))).frame_shape
            (17,)
        """
        if not isinstance(space, spaces.Box):
            encoding = Encoding.of(space)
            vectors = cls.of(
                encoding.box, channel_axis=channel_axis, newest_channels=newest_channels
            )
            return replace(vectors, space=space, encoding=encoding)
        shape = space.shape
        if 0 in shape:
            raise InvalidArgumentError(f"The observation space {space} is empty.")
        if channel_axis not in {None, 0, 2}:
            raise InvalidArgumentError(f"channel_axis is {channel_axis}; it must be 0 or 2.")
        if len(shape) == 3 and sorted(shape)[1] >= SMALLEST_IMAGE:
            if channel_axis is None:
                first = channels_are_first(space)
                if first is None:
                    raise InvalidArgumentError(
                        f"Which axis of the observation shape {shape} holds the channels? "
                        "Give channel_axis=0 or channel_axis=2."
                    )
                channel_axis = 0 if first else 2
            channels = shape[channel_axis]
            stacked = channels == 4 and channel_axis == 0
            guess = 1 if stacked else channels
            newest = guess if newest_channels is None else newest_channels
            if not 1 <= newest <= channels:
                raise InvalidArgumentError(
                    f"newest_channels is {newest}, but the observation has {channels} channels."
                )
            sides = tuple(side for axis, side in enumerate(shape) if axis != channel_axis)
            return cls(space, space, (newest, *sides), channel_axis, newest)
        if newest_channels is not None:
            raise InvalidArgumentError(
                f"newest_channels is {newest_channels}, which has no meaning for observations of "
                f"shape {shape}: it is for images of three dimensions."
            )
        if len(shape) == 4 and sorted(shape[1:])[1] >= SMALLEST_IMAGE:
            frame = cls.of(spaces.Box(0, 255, shape[1:], np.uint8), channel_axis=channel_axis)
            axis = frame.channel_axis or 0
            channels = shape[1 + axis]
            return cls(space, space, (channels, *frame.frame_shape[1:]), axis, channels)
        if channel_axis is not None:
            raise InvalidArgumentError(
                f"channel_axis is {channel_axis}, but observations of shape {shape} have no "
                "channels. Leave it out."
            )
        if len(shape) == 2 and min(shape) >= SMALLEST_IMAGE:
            return cls(space, space, (1, *shape), None, 1)
        return cls(space, space, (int(np.prod(shape)) if shape else 1,), None, 1)

    def halved(self, times: int) -> ObservationLayout:
        """The layout whose frames are averaged over squares of two pixels, so often.

        Raises:
            InvalidArgumentError: The frames are no images, or too small.

        Example:
            >>> layout = ObservationLayout.of(spaces.Box(0, 255, (4, 84, 84), np.uint8))
            >>> layout.halved(1).frame_shape
            (1, 42, 42)
        """
        if times == 0:
            return self
        if not self.is_image or min(self.frame_shape[1:]) >> times < SMALLEST_IMAGE:
            raise InvalidArgumentError(
                f"halvings is {times}, but frames of shape {self.frame_shape} are no images that "
                f"have {SMALLEST_IMAGE} pixels a side after it. Leave it out."
            )
        channels, *sides = self.frame_shape
        shape = (channels, *(side >> times for side in sides))
        return replace(self, frame_shape=shape, halvings=times)

    @property
    def is_image(self) -> bool:
        """Whether frames are images."""
        return len(self.frame_shape) == 3

    def encode(self, observations: Any) -> Any:
        """A batch as one array or tensor, whatever the space is; see `Encoding.encode`."""
        if self.encoding is not None:
            return self.encoding.encode(observations)
        return observations if isinstance(observations, Tensor) else np.asarray(observations)

    def frames(self, observations: Any, device: torch.device) -> Tensor:
        """The newest frames of a batch of observations.

        Args:
            observations: Shape `(batch, *space.shape)`; or what `encode` takes or gives. Numbers
                may be of another floating-point type than the space's; where the space has whole
                numbers that are no bytes, of any type.
            device: Where the frames shall lie.

        Returns:
            Shape `(batch, *frame_shape)`; never a view of the given memory.

        Raises:
            InvalidArgumentError: Another shape than the space's, a dtype that says of another
                range, NaN or infinity.
        """
        observations = self.encode(observations)
        if isinstance(observations, np.ndarray):
            self._check(observations.shape, observations.dtype)
            # Torch takes neither read-only arrays nor those that are mirrored by their strides.
            observations = torch.from_numpy(np.require(observations, requirements=["C", "W"]))
        else:
            self._check(tuple(observations.shape), _numpy_dtype(observations))
        batch = self.newest(observations)
        batch = batch.reshape(len(observations), *self.frame_shape)
        if batch.is_floating_point() and not bool(torch.isfinite(batch.to(torch.float32)).all()):
            raise InvalidArgumentError(
                "An observation holds NaN, infinity or a number beyond float32; its novelty has no "
                "meaning. Nothing was learned from it. Mend the environment or clip its "
                "observations."
            )
        dtype = batch.dtype
        if batch.is_floating_point():
            # One type whatever came, so that all frames that are kept are alike.
            exact = self.box.dtype == np.float64
            dtype = torch.float64 if exact else torch.float32
        return batch.to(device, dtype, copy=True, memory_format=torch.contiguous_format)

    def newest(self, observations: Tensor) -> Tensor:
        """Reduce `(batch, *space.shape)` to the newest frames, channels first, and halve them."""
        frames = self._cut(observations)
        for _ in range(self.halvings):
            frames = _halved(frames)
        return frames

    def _cut(self, observations: Tensor) -> Tensor:
        if self.is_image and observations.ndim == 5:
            newest = observations[:, -1]
            return newest if self.channel_axis == 0 else newest.permute(0, 3, 1, 2)
        if self.channel_axis == 0:
            return observations[:, -self.newest_channels :]
        if self.channel_axis == 2:
            return observations[..., -self.newest_channels :].permute(0, 3, 1, 2)
        return observations

    def _check(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        if shape[1:] != self.box.shape:
            raise InvalidArgumentError(
                f"Observations of shape {shape[1:]} came where the space says {self.box.shape}. "
                "The environment's observation_space is not honest, or the batch axis is missing."
            )
        if not _may_stand_for(dtype, np.dtype(self.box.dtype)):
            raise InvalidArgumentError(
                f"Observations of dtype {dtype} came where the space says {self.box.dtype}: "
                "their range is not the one that the model was made for. Convert them, or declare "
                "the right observation_space."
            )


def _halved(frames: Tensor) -> Tensor:
    """Means over squares of two pixels, rounded down for whole numbers; odd edges are cut off."""
    height, width = (side // 2 * 2 for side in frames.shape[-2:])
    frames = frames[..., :height, :width]
    wide = frames if frames.is_floating_point() else frames.to(torch.int32)
    if frames.dtype == torch.uint8:
        wide = frames.to(torch.int16)  # the sum of four bytes fits
    rows = wide[..., ::2, :] + wide[..., 1::2, :]
    sums = rows[..., ::2] + rows[..., 1::2]
    means = sums / 4 if frames.is_floating_point() else sums >> 2
    return means.to(frames.dtype)


def _may_stand_for(dtype: np.dtype, declared: np.dtype) -> bool:
    """Whether numbers of a type may come where a space says another.

    `VecNormalize` gives float32 whatever the space says. Bytes are another matter: pictures of
    which some are of 0 to 255 and some of 0 to 1 have nothing in common.
    """
    if np.issubdtype(declared, np.floating):
        return bool(np.issubdtype(dtype, np.floating))
    return dtype == declared or np.uint8 not in {dtype.type, declared.type}


def _numpy_dtype(tensor: Tensor) -> np.dtype:
    name = str(tensor.dtype).removeprefix("torch.")
    return np.dtype("float32" if name == "bfloat16" else name)


class Rollout:
    """Frames in the order in which they came, with their streams and, if kept, predecessors.

    Example:
        >>> rollout = Rollout()
        >>> rollout.add(torch.zeros(2, 3), np.array([0, 1]), None)
        >>> len(rollout)
        2
        >>> frames, streams, previous = rollout.take()
        >>> frames.shape, streams.tolist(), len(rollout)
        (torch.Size([2, 3]), [0, 1], 0)
    """

    def __init__(self) -> None:
        self._frames: list[Tensor] = []
        self._streams: list[np.ndarray] = []
        self._previous: list[Tensor] = []
        self._length = 0
        self._seen: set[int] = set()  # the streams that observations came from

    def __len__(self) -> int:
        return self._length

    def add(self, frames: Tensor, streams: np.ndarray, previous: Tensor | None) -> None:
        """Keep a batch; the tensors are not copied and must not change afterwards."""
        self._frames.append(frames)
        self._streams.append(np.asarray(streams, np.int64))
        if previous is not None:
            self._previous.append(previous)
        self._length += len(frames)
        self._seen.update(streams.tolist())

    def until_due(
        self, streams: np.ndarray, steps: int | None, registered: int
    ) -> tuple[int, bool]:
        """How much of a batch is collected until a training is due, and whether one is due there.

        One is due after so many steps of each stream that was observed since the last: streams of
        environments that are closed, or are not stepped, do not put it off.

        Args:
            streams: The streams of the batch.
            steps: Steps of each between two trainings, 1 or more; None if none falls due.
            registered: How many streams there are.
        """
        if steps is None:
            return len(streams), False
        seen = set(self._seen)
        for count, stream in enumerate(streams.tolist(), 1):
            seen.add(stream)
            # After a single step of each, the streams that are still to come must be known.
            expected = len(seen) if steps > 1 else max(registered, len(seen))
            if self._length + count >= steps * expected:
                return count, True
        return len(streams), False

    def take(self) -> tuple[Tensor, np.ndarray, Tensor | None]:
        """All that was collected, which is then forgotten."""
        frames, streams = torch.cat(self._frames), np.concatenate(self._streams)
        previous = torch.cat(self._previous) if self._previous else None
        self._frames, self._streams, self._previous, self._length = [], [], [], 0
        self._seen = set()
        return frames, streams, previous

    def state_dict(self) -> dict[str, Any]:
        """What was collected, as tensors."""
        return {
            "frames": list(self._frames),
            "streams": [torch.from_numpy(streams) for streams in self._streams],
            "previous": list(self._previous),
        }

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Restore what `state_dict` gave."""
        self._frames = [frames.to(device) for frames in state["frames"]]
        self._streams = [streams.numpy() for streams in state["streams"]]
        self._previous = [frames.to(device) for frames in state["previous"]]
        self._length = sum(len(frames) for frames in self._frames)
        self._seen = {int(stream) for streams in self._streams for stream in streams}


def as_given(values: Tensor, observations: np.ndarray | Tensor) -> Any:
    """Values as a caller who gave such observations wants them: an array, or a tensor there."""
    if isinstance(observations, Tensor):
        return values.to(observations.device, copy=True)  # plain, if made in inference mode
    return values.cpu().numpy()
