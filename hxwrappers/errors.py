"""The errors that hxwrappers raises, all under one base class.

Every message says what was wrong, what was expected and what to do about it.
"""

MALFORMED = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    IndexError,
    KeyError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What is raised, by whatever library, for a state with something else in it than should be."""


class HxWrappersError(Exception):
    """Base class of every error that this library raises on purpose."""


class InvalidArgumentError(HxWrappersError, ValueError):
    """An argument, space, observation or setting that does not fit; the message says which."""


class CheckpointError(HxWrappersError, ValueError):
    """A file of a run that is unreadable, truncated, unsafe or made by another kind of model."""


class FileWriteError(HxWrappersError, OSError):
    """A file that cannot be written: the disk is full, or the place is not for writing."""


class FileWriteWarning(UserWarning):
    """A file that could not be written for now, in the midst of work that goes on."""


class WrapperContractError(HxWrappersError, AssertionError):
    """A wrapper that breaks a promise of the wrapper contract (`hxwrappers.testing`)."""


class DemoError(HxWrappersError, ValueError):
    """Anything wrong with a demonstration, its file, replay, search or success table."""


class SnapshotError(HxWrappersError, ValueError):
    """A state that cannot be frozen, or a frozen state that must not be restored."""


class WorkerError(HxWrappersError, RuntimeError):
    """A worker, actor or cluster that cannot be reached, failed, or died again and again."""


class SharedTrackerWarning(UserWarning):
    """A worker process keeps a success table of its own, which all workers should share."""


class UnrewardedDemoWarning(UserWarning):
    """A demonstration that earns and costs nothing, in which every episode succeeds at once."""


class VideoError(HxWrappersError, ValueError):
    """Anything wrong with a video, a clip, or learning from them."""


class SharedModelWarning(UserWarning):
    """A model that should be shared by all environments is trained in one worker process alone."""


class StatisticsWarning(UserWarning):
    """Episode statistics or an evaluation that do not tell what they seem to tell."""


class StackedStickinessWarning(UserWarning):
    """Actions are sticky twice over: by a wrapper and by another one or the emulator below it."""
