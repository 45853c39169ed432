"""The errors that hxwrappers raises, all under one base class.

Every message says what was wrong, what was expected and what to do about it.
"""


class HxWrappersError(Exception):
    """Base class of every error that this library raises on purpose."""


class InvalidArgumentError(HxWrappersError, ValueError):
    """An argument lies outside the range that makes sense for it."""


class InvalidSpaceError(HxWrappersError, TypeError):
    """An observation or action space that a wrapper cannot work with."""


class InvalidObservationError(HxWrappersError, ValueError):
    """An observation of another shape or dtype than its space, or with NaN or infinity in it."""


class AutoresetError(HxWrappersError, ValueError):
    """A vector environment whose autoreset mode or final observations do not fit the use."""


class CheckpointError(HxWrappersError, ValueError):
    """A checkpoint that is unreadable, truncated, unsafe or made by another kind of model."""


class WrapperContractError(HxWrappersError, AssertionError):
    """A wrapper that breaks a promise of the wrapper contract (`hxwrappers.testing`)."""


class DemoError(HxWrappersError, ValueError):
    """Base class of everything that can be wrong with a demonstration."""


class DemoFileError(DemoError):
    """A demonstration file that is missing, truncated, damaged, hostile or of another format."""


class DemoMismatchError(DemoError):
    """A demonstration of another game, action set, frame skip or ROM than the environment's."""


class DemoVerificationError(DemoError):
    """A demonstration whose replay gives other rewards, ends or states than were recorded."""


class JournalError(DemoFileError):
    """A recording's journal that cannot be read back."""


class SnapshotError(HxWrappersError, ValueError):
    """A state that cannot be frozen, or a frozen state that must not be restored."""


class SearchError(DemoError):
    """A search for demonstrations that cannot begin, go on or be resumed."""


class CellError(SearchError):
    """A cell function that cannot be found, fails, or returns something that is no cell."""


class ActorError(HxWrappersError, RuntimeError):
    """An actor of a training run that failed, or died again and again."""


class SharedModelWarning(UserWarning):
    """A model that should be shared by all environments is trained in one worker process alone."""


class StackedStickinessWarning(UserWarning):
    """Actions are sticky twice over: by a wrapper and by another one or the emulator below it."""
