"""Core: what a video shows. Clips with sound, embeddings, alignment measures."""

from hxwrappers.video.decoded import DecodedClip
from hxwrappers.video.embedder import Embedder
from hxwrappers.video.load import load_clips
from hxwrappers.video.pretraining import Pretraining
from hxwrappers.video.settings import PretrainingSettings, preset

__all__ = [
    "DecodedClip",
    "Embedder",
    "Pretraining",
    "PretrainingSettings",
    "load_clips",
    "preset",
]
