"""TensorBoard files that survive a full disk and a resumed run."""

from __future__ import annotations

import itertools
import os
import socket
import time
from pathlib import Path
from typing import Any

from gymnasium.error import DependencyNotInstalled

from hxwrappers.files.atomic import AppendFile

try:
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.summary.writer.record_writer import RecordWriter
    from torch.utils.tensorboard.writer import FileWriter, SummaryWriter
except ImportError as error:
    raise DependencyNotInstalled(
        'Logs for TensorBoard need it: pip install "hxwrappers[impala]". Without a folder nothing '
        "is logged."
    ) from error


_numbers = itertools.count()


class EventLog(SummaryWriter):
    """A `SummaryWriter` of a run that may be killed and resumed, on a disk that may be full.

    The usual one writes from a thread, whose first failure ends the training at its next figure.
    Here what finds no room waits. What a killed run had logged behind its last checkpoint is taken
    back when the run is resumed, so that no curve goes back in time.

    Args:
        folder: Where the files go.
        steps: Steps behind the run; what earlier files hold of later ones counts no more.

    Raises:
        FileWriteError: The folder cannot be written to.
    """

    file_writer: Any
    all_writers: Any

    def __init__(self, folder: Path, steps: int = 0) -> None:
        self._steps = steps
        super().__init__(str(folder))

    def _get_file_writer(self) -> Any:
        if self.file_writer is None:
            writer = _Writer(Path(self.log_dir))
            self.file_writer, self.all_writers = writer, {self.log_dir: writer}
            begin = SessionLog(status=SessionLog.START)
            writer.add_event(Event(session_log=begin), step=self._steps + 1)
        return self.file_writer


class _Writer(FileWriter):
    def __init__(self, folder: Path) -> None:
        self.event_writer = _EventFile(folder)


class _EventFile:
    """One file of events, with the methods that `FileWriter` needs."""

    def __init__(self, folder: Path) -> None:
        # TensorBoard reads the files of a folder in the order of their names.
        made = f"{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        self._file = AppendFile(folder / f"events.out.tfevents.{made}")
        self._records = RecordWriter(self)
        self.add_event(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def add_event(self, event: Any) -> None:
        self._records.write(event.SerializeToString())

    def write(self, record: bytes) -> None:
        self._file.append(record)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self._file.close()
