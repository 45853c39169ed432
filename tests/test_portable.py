"""What works on systems without `fcntl`, `resource`, `fork` and `/proc`, such as Windows."""

import subprocess
import sys

WITHOUT = """
import builtins, io, multiprocessing, os, signal, sys, tempfile, warnings

for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for name in ("fork", "forkpty", "pwrite", "sched_getaffinity", "O_CLOEXEC"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGHUP", "SIGKILL"):
    delattr(signal, name)
multiprocessing.get_all_start_methods = lambda: ["spawn"]


def hide_proc(event, arguments):
    if event == "open" and str(arguments[0]).startswith("/proc"):
        raise FileNotFoundError(f"{arguments[0]}: there is no /proc here")


sys.addaudithook(hide_proc)
# Without fcntl filelock falls back to files that are there or not, and says so.
warnings.filterwarnings("ignore", "flock not supported")
"""

WORK = """
import gymnasium as gym
import numpy as np

import hxwrappers as hx
from hxwrappers.demos import Demo, DemoRecording, JournalWriter
from hxwrappers.curriculum import FrontierSettings, SuccessTracker
from hxwrappers.demos import recover_demos
from hxwrappers.search.cells import CellSettings, Limits, Search, SearchSettings
from hxwrappers.novelty import RNDModel
from hxwrappers.video import Embedder
from hxwrappers.video.embedder import Architecture

assert "fcntl" not in {name for name, module in sys.modules.items() if module}
folder = tempfile.mkdtemp()
quick = {"warmup_steps": 2, "update_every": 4, "batch_size": 4, "device": "cpu"}
env = hx.StickyActions(hx.RNDBonus(hx.CNDBonus(gym.make("CartPole-v1"), **quick), **quick))
envs = hx.vector.RNDBonus(gym.make_vec("CartPole-v1", 2, "sync"), **quick)
env.reset(seed=0)
envs.reset(seed=0)
for _ in range(8):
    env.step(0)
    envs.step(np.zeros(2, int))

lake = ("FrozenLake-v1", {"is_slippery": False})
journal = JournalWriter(f"{folder}/lake.journal")
recording = DemoRecording(gym.make(lake[0], **lake[1]), journal=journal)
recording.reset(seed=0)
for action in (1, 1, 2, 1, 2, 2):
    recording.step(action)
journal.close()
assert len(recover_demos(f"{folder}/lake.journal")[0]) == 6
recording.demo().save(f"{folder}/lake.npz")
demo = Demo.load(f"{folder}/lake.npz")
assert demo.verify(gym.make(lake[0], **lake[1])).ok
for store in (None, f"{folder}/table"):
    tracker = SuccessTracker(demo, FrontierSettings(window=2), store=store)
    curriculum = hx.DemoResetCurriculum(gym.make(lake[0], **lake[1]), demo, tracker)
    for seed in range(3):
        curriculum.reset(seed=seed)
        while not any(curriculum.step(curriculum.action_space.sample())[2:4]):
            pass
    assert tracker.episodes == 3
found = Search(SearchSettings(*lake, CellSettings("observation"))).run(Limits(steps=3000)).score
assert found == 1.0
model = RNDModel(gym.spaces.Box(-1, 1, (3,)), **quick)
model.save(f"{folder}/model.safetensors")
model.load(f"{folder}/model.safetensors")
small = Architecture(channels=(2, 2, 2), hidden=2, dimension=2)
Embedder.random(small).save(f"{folder}/embedder.safetensors")
assert not [name for name in os.listdir(folder) if name.startswith(".")]
print("done")
"""


def test_one_process_needs_nothing_of_posix():
    command = [sys.executable, "-c", WITHOUT + WORK]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "done\n", done.stderr[-2000:]
