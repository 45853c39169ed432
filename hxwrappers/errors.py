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
    """An argument lies outside the range that makes sense for it."""


class InvalidSpaceError(HxWrappersError, TypeError):
    """An observation or action space that a wrapper cannot work with."""


class InvalidObservationError(HxWrappersError, ValueError):
    """An observation of another shape or dtype than its space, or with NaN or infinity in it."""


class AutoresetError(HxWrappersError, ValueError):
    """A vector environment whose autoreset mode or final observations do not fit the use."""


class CheckpointError(HxWrappersError, ValueError):
    """A checkpoint that is unreadable, truncated, unsafe or made by another kind of model."""


class FileWriteError(HxWrappersError, OSError):
    """A file that cannot be written: the disk is full, or the place is not for writing."""


class FileWriteWarning(UserWarning):
    """A file that could not be written for now, in the midst of work that goes on."""


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


class TrackerError(DemoError):
    """A success table that cannot be opened or reported to, or is of other demonstrations."""


class WorkerError(HxWrappersError, RuntimeError):
    """A worker process that has died, for example because memory ran out or it was killed."""


class SharedTrackerWarning(UserWarning):
    """A worker process keeps a success table of its own, which all workers should share."""


class UnrewardedDemoWarning(UserWarning):
    """A demonstration that earns and costs nothing, in which every episode succeeds at once."""


class VideoError(HxWrappersError, ValueError):
    """Base class of everything that can be wrong with videos, clips and learning from them."""


class VideoFileError(VideoError):
    """A file that is missing, no video, or damaged beyond use."""


class TruncatedVideoError(VideoFileError):
    """A video that ends well before the end that it declares."""


class NoVideoStreamError(VideoFileError):
    """A media file without moving pictures, for example one with sound alone."""


class EmptyClipError(VideoError):
    """A clip without a single frame, for example one that starts behind the video's end."""


class CropError(VideoError):
    """A crop window that shows nothing of the picture."""


class DecodedClipError(VideoError):
    """A decoded clip whose arrays or folder are not what they should be."""


class DemonstrationError(VideoError):
    """A demonstration video that cannot be imitated, such as one of less than two checkpoints."""


class EmbedderError(VideoError):
    """An embedder that does not fit the frames or checkpoints that it is used with."""


class PretrainingError(VideoError):
    """Clips that an embedding cannot be learned from, or a training that cannot go on."""


class ActorError(HxWrappersError, RuntimeError):
    """An actor of a training run that failed, or died again and again."""


class RayError(HxWrappersError, RuntimeError):
    """A Ray cluster that cannot be reached."""


class SharedModelWarning(UserWarning):
    """A model that should be shared by all environments is trained in one worker process alone."""


class StatisticsWarning(UserWarning):
    """Episode statistics or an evaluation that do not tell what they seem to tell."""


class StackedStickinessWarning(UserWarning):
    """Actions are sticky twice over: by a wrapper and by another one or the emulator below it."""


class RunLogError(HxWrappersError, ValueError):
    """A folder without the log of a training run, or a log that is unreadable."""


class EnvironmentRecipeError(HxWrappersError, ValueError):
    """A description of an environment, such as a policy file holds, from which none is made."""


class EvaluationError(HxWrappersError, ValueError):
    """A policy that cannot be evaluated as asked, or an episode that does not repeat."""


class StudioMessageError(HxWrappersError, ValueError):
    """A message of a page, in `hxw demo record`, that no page of this version sends."""
