"""What a video shows: clips with their sound, embeddings of them, and how far one is followed."""

from hxwrappers._video_file import Part, write_video
from hxwrappers.video.clip import Clip
from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.embedder import Embedder
from hxwrappers.video.load import load_clips
from hxwrappers.video.pretraining import Pretraining
from hxwrappers.video.settings import PretrainingSettings, preset

__all__ = [
    "Clip",
    "DecodedClip",
    "Embedder",
    "Part",
    "Pretraining",
    "PretrainingSettings",
    "load_clips",
    "preset",
    "write_video",
]
