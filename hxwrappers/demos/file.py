"""Demonstration files: the format, written atomically and read without trust.

A demonstration is a NumPy archive (`.npz`, a zip of `.npy` files) with these members and no others:

| member | dtype | shape | meaning |
|---|---|---|---|
| `metadata` | `uint8` | `(n,)` | a JSON document (UTF-8): `format` (`"hxwrappers-demo"`), `version` (1), `env`, `seed`, `options`, `family`, `seams`, `versions`, `made_by`, and for readers `steps` and `score` |
| `actions` | any number | `(T, ...)` | the actions |
| `rewards` | `float64` | `(T,)` | their rewards |
| `terminations`, `truncations` | `bool` | `(T,)` | their ends |
| `snapshot_steps` | `int64` | `(S,)` | actions taken before each snapshot, increasing |
| `snapshot_offsets` | `int64` | `(S + 1,)` | where each snapshot begins in the data |
| `snapshot_dictionary` | `uint8` | `(d,)` | zlib dictionary that the snapshots share |
| `snapshot_data` | `uint8` | `(b,)` | each snapshot as a zlib stream of `hxwrappers.snapshots.codec` |

No member is a pickle. The sizes that a file declares are compared with the size that it has before
anything is allocated.
"""  # noqa: E501 - a table

from __future__ import annotations

import math
import os
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hxwrappers.demos.metadata import MAX_JSON_BYTES
from hxwrappers.errors import DemoError
from hxwrappers.files import atomic_write

MAX_FILE_BYTES = 1 << 32
# zlib's best is 1032 to 1; a member that claims more than that is lying about its size.
_MAX_RATIO = 1040
_HEADER_BYTES = 512
_DTYPE = rb"[<>|](?:b1|[iu][1248]|f[248])"
# The header of a .npy file of format 1.0, in the one way in which NumPy writes it.
_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '(?P<dtype>" + _DTYPE + rb")', "
    rb"'fortran_order': False, 'shape': \((?P<shape>(?:\d{1,18}, ?){0,8}(?:\d{1,18})?)\), \} *\n",
    re.DOTALL,
)
_MEMBERS: dict[str, tuple[str, int | None]] = {
    "metadata": ("|u1", 1),
    "actions": ("", None),
    "rewards": ("<f8", 1),
    "terminations": ("|b1", 1),
    "truncations": ("|b1", 1),
    "snapshot_steps": ("<i8", 1),
    "snapshot_offsets": ("<i8", 1),
    "snapshot_dictionary": ("|u1", 1),
    "snapshot_data": ("|u1", 1),
}


def write_demo_file(
    path: str | os.PathLike[str], arrays: dict[str, npt.NDArray[Any]], metadata: str
) -> None:
    """Write a demonstration file atomically.

    Args:
        path: Where the file shall be.
        arrays: All members but the metadata.
        metadata: The JSON document.

    Raises:
        DemoError: The actions are no array of numbers.
        FileWriteError: The file cannot be written.
    """
    dtype = arrays["actions"].dtype
    if not re.fullmatch(_DTYPE, dtype.str.encode()):
        raise DemoError(
            f"The actions are of dtype {dtype}; only numbers of at most 8 bytes can be saved."
        )
    members = {"metadata": np.frombuffer(metadata.encode(), np.uint8), **arrays}

    def write(temporary: Path) -> None:
        # As `np.savez_compressed` does it, which leaves the archive open if the disk is full.
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, values in members.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, values, allow_pickle=False)

    atomic_write(path, write)


def read_demo_file(path: str | os.PathLike[str]) -> tuple[dict[str, npt.NDArray[Any]], str]:
    """Read the members of a demonstration file.

    Args:
        path: The file.

    Returns:
        The arrays by name, and the JSON document.

    Raises:
        DemoError: The file is missing or is not exactly of the documented format.
    """
    name = os.fspath(path)
    try:
        size = Path(path).stat().st_size
        if size > MAX_FILE_BYTES:
            raise DemoError(f"it has {size} bytes, more than {MAX_FILE_BYTES}")
        with zipfile.ZipFile(path) as archive:
            arrays = _read_members(archive, size)
        text = arrays.pop("metadata").tobytes().decode()
    except FileNotFoundError as error:
        raise DemoError(f"There is no demonstration file at {name}.") from error
    except DemoError as error:
        raise DemoError(
            f"{name} is not a usable demonstration: {error}. Use a file written by hxwrappers; "
            "nothing in this one was executed."
        ) from error
    except (
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        ValueError,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise DemoError(
            f"{name} could not be read as a demonstration: it is truncated, damaged or of another "
            f"kind ({type(error).__name__}: {str(error)[:200]}). Nothing in it was executed."
        ) from error
    return arrays, text


def _read_members(archive: zipfile.ZipFile, size: int) -> dict[str, npt.NDArray[Any]]:
    infos = {info.filename: info for info in archive.infolist()}
    expected = {f"{name}.npy" for name in _MEMBERS}
    if set(infos) != expected or len(archive.infolist()) != len(expected):
        odd = sorted(set(infos) ^ expected)[:4]
        raise DemoError(f"its members are not those of a demonstration (see {odd})")
    arrays = {}
    for name, (dtype, dimensions) in _MEMBERS.items():
        info = infos[f"{name}.npy"]
        if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise DemoError(f"its member {name} is compressed in an unusual way")
        if info.compress_size > size or info.file_size > _MAX_RATIO * info.compress_size + 4096:
            raise DemoError(
                f"its member {name} claims {info.file_size} bytes, which the file cannot hold"
            )
        if name == "metadata" and info.file_size > MAX_JSON_BYTES:
            raise DemoError("its metadata are larger than metadata are")
        with archive.open(info) as member:
            arrays[name] = _read_array(member, info.file_size, name, dtype, dimensions)
    return arrays


def _read_array(
    member: Any, size: int, name: str, expected: str, dimensions: int | None
) -> npt.NDArray[Any]:
    head = member.read(min(size, _HEADER_BYTES))
    header = _HEADER.match(head)
    if header is None:
        raise DemoError(f"its member {name} does not begin as a plain array does")
    dtype = np.dtype(header["dtype"].decode())
    shape = tuple(int(length) for length in header["shape"].split(b",") if length.strip())
    if expected and dtype.str != expected:
        raise DemoError(f"its member {name} is of dtype {dtype}, not {expected}")
    if dimensions is not None and len(shape) != dimensions:
        raise DemoError(f"its member {name} has the shape {shape}")
    content = math.prod(shape) * dtype.itemsize
    if header.end() + content != size:
        raise DemoError(
            f"its member {name} claims {content} bytes of content, but has {size - header.end()}"
        )
    data = head[header.end() :] + member.read()
    if len(data) != content:
        raise DemoError(f"its member {name} ends too early")
    return np.frombuffer(data, dtype).reshape(shape)
