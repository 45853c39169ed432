"""OpenAI's demonstrations."""

import time
import tracemalloc

import gymnasium as gym
import numpy as np
import pytest

from hxwrappers.demos import Demo
from hxwrappers.demos.openai import import_openai_demo, read_openai_demo
from hxwrappers.errors import DemoError
from tests.demos.samples import (
    frame_env,
    legacy_document,
    openai_demo,
    write_legacy,
)


@pytest.fixture(scope="module")
def document():
    return legacy_document()


def test_a_file_made_here(tmp_path, document):
    path = write_legacy(tmp_path / "Pong.demo", document)
    calls = []
    demo = import_openai_demo(path, snapshot_every=40, progress=lambda *done: calls.append(done))
    assert len(demo) == 300
    assert demo.metadata.seams == ()
    assert demo.actions.tolist() == document["actions"]
    assert demo.score == sum(document["rewards"])
    assert demo.verify(frame_env()).ok
    assert demo.snapshots.steps.tolist() == [*range(0, 300, 40)]
    assert calls == [(0, 300)]
    assert demo.metadata.made_by["file"] == "Pong.demo"


def test_the_older_kind_has_a_reward_more(tmp_path, document):
    older = {**document, "rewards": [0, *document["rewards"]]}
    legacy = read_openai_demo(write_legacy(tmp_path / "Pong.demo", older))
    assert legacy.rewards.tolist() == document["rewards"]
    assert legacy.md5 == b"60e0ea3cbe0913d39803477945e9e5ec"


def test_another_dump_of_the_rom(tmp_path, document):
    """Its md5 is none that ale-py has; the game comes from the name, the proof from the replay."""
    states = [
        np.frombuffer(state.tobytes().replace(b"60e0ea3c", b"aaaaaaaa"), np.uint8)
        for state in document["checkpoints"]
    ]
    other = {**document, "checkpoints": states}
    demo = import_openai_demo(write_legacy(tmp_path / "pong.demo", other))
    assert demo.metadata.made_by["rom_md5"].startswith("aaaaaaaa")
    assert demo.metadata.env["rom_md5"].startswith("60e0ea3c")
    assert demo.verify(frame_env()).ok

    wrong = {**other, "rewards": [*document["rewards"][:-1], 7.0]}
    with pytest.raises(DemoError, match="at step 300"):
        import_openai_demo(write_legacy(tmp_path / "Pong.demo", wrong))
    nameless = write_legacy(tmp_path / "mine.demo", other)
    with pytest.raises(DemoError, match="Say which game"):
        import_openai_demo(nameless)
    assert len(import_openai_demo(nameless, game="pong")) == 300
    with pytest.raises(DemoError, match="no game called"):
        import_openai_demo(nameless, game="chess")


def test_another_game_is_refused(tmp_path, document):
    path = write_legacy(tmp_path / "Pong.demo", document)
    with pytest.raises((DemoError, DemoError, DemoError)):
        import_openai_demo(path, game="breakout")


def test_a_state_that_was_not_played_to_is_a_seam(tmp_path, document):
    states = [state.copy() for state in document["checkpoints"]]
    ram = states[1].tobytes().index(b"M6532") + 5 + 4
    states[1][ram + 4 * 60] ^= 1
    demo = import_openai_demo(
        write_legacy(tmp_path / "Pong.demo", {**document, "checkpoints": states})
    )
    assert demo.metadata.seams[0] == 200
    assert demo.verify(frame_env()).ok


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"actions": None}, "lacks some of the lists"),
        ({"actions": []}, "no numbers from 0 to 17"),
        ({"actions": [18]}, "no numbers from 0 to 17"),
        ({"actions": [True]}, "no numbers from 0 to 17"),
        ({"rewards": [0.0]}, "but 1 rewards"),
        ({"rewards": ["x"] * 300}, "but 300 rewards"),
        ({"rewards": [float("nan")] * 300}, "not finite"),
        ({"checkpoints": []}, "step numbers"),
        ({"checkpoint_action_nr": [1, 1, 2]}, "step numbers"),
        ({"checkpoint_action_nr": [100, 200, 301]}, "steps that it does not have"),
        ({"checkpoint_action_nr": [0, 200, 300]}, "steps that it does not have"),
        ({"checkpoints": [b""] * 3}, "no array of bytes"),
        ({"checkpoints": [np.zeros(4)] * 3}, "no array of bytes"),
        ({"checkpoints": [np.zeros(985, np.uint8)] * 3}, "malformed"),
    ],
)
def test_documents_that_are_wrong(tmp_path, document, change, message):
    path = write_legacy(tmp_path / "Pong.demo", {**document, **change})
    with pytest.raises(DemoError, match=message):
        read_openai_demo(path)


def test_files_that_are_none(tmp_path):
    with pytest.raises(DemoError, match="There is no demonstration"):
        read_openai_demo(tmp_path / "Pong.demo")
    huge = tmp_path / "huge.demo"
    with huge.open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(DemoError, match="larger than"):
        read_openai_demo(huge)


@pytest.mark.slow
@pytest.mark.parametrize(("game", "score", "steps"), [("Pong", 5, 22_869)])
def test_a_real_one(tmp_path, game, score, steps):
    demo = import_openai_demo(openai_demo(game))
    assert (len(demo), demo.score) == (steps, score)
    assert demo.verify(frame_env(game)).ok


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_montezumas_revenge_meets_its_targets(tmp_path):
    source = openai_demo("MontezumaRevenge")
    begin = time.process_time()
    demo = import_openai_demo(source)
    assert time.process_time() - begin < 60
    assert (len(demo), demo.score) == (53_061, 71_500)
    assert demo.step_of_reward() == 361
    path = tmp_path / "montezuma.npz"
    demo.save(path)
    assert path.stat().st_size < 3e6

    tracemalloc.start()
    begin = time.process_time()
    demo = Demo.load(path)
    assert time.process_time() - begin < 1
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()

    env = gym.make("ALE/MontezumaRevenge-v5", frameskip=1, repeat_action_probability=0.0)
    assert demo.verify(env).ok
    times = []
    for step in np.random.default_rng(0).integers(len(demo) + 1, size=300).tolist():
        begin = time.process_time()
        demo.restore(env, step)
        times.append(time.process_time() - begin)
    assert np.median(times) < 0.010
