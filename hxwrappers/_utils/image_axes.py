"""The axis of an image that holds its channels: one guess for all that look at observations."""

from __future__ import annotations

from gymnasium import spaces


def channels_are_first(space: spaces.Space[object]) -> bool | None:
    """Whether the first of the last three axes of an observation space holds the channels.

    A space that has an attribute `channels_first`, as that of `make_minigrid`, says so itself.
    Otherwise the side that is unlike the two others holds the channels, and of three different
    ones the smaller end.

    Args:
        space: A space with a shape.

    Returns:
        Whether; None where the shape does not tell, or has fewer than three axes.

    Example:
        >>> channels_are_first(spaces.Box(0, 1, (4, 84, 84)))
        True
        >>> channels_are_first(spaces.Box(0, 1, (64, 84, 3)))
        False
        >>> channels_are_first(spaces.Box(0, 1, (84, 84, 84)))
    """
    told = getattr(space, "channels_first", None)
    shape = space.shape or ()
    if told is not None or len(shape) < 3:
        return None if told is None else bool(told)
    first, middle, last = shape[-3:]
    if first == last:
        return None
    return middle == last if middle in (first, last) else first < last
