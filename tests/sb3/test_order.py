"""Every order of layers, every kind of algorithm: rewards that are learned from, and evaluation.

The table of `docs/how-to/order-of-wrappers.md`; each of its cells is run here.
"""

import re
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from sb3_contrib import MaskablePPO, RecurrentPPO
from stable_baselines3 import DQN, PPO, SAC, TD3, HerReplayBuffer
from stable_baselines3.common.buffers import DictReplayBuffer, ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    VecEnvWrapper,
    VecFrameStack,
    VecMonitor,
    VecNormalize,
)

from hxwrappers import RNDBonus
from hxwrappers.errors import (
    InvalidArgumentError,
    SharedModelWarning,
    StatisticsWarning,
)
from hxwrappers.sb3 import (
    BonusDictReplayBuffer,
    BonusHerReplayBuffer,
    BonusReplayBuffer,
    DualValuePPO,
    ExplorationLog,
    VecCNDBonus,
    VecRNDBonus,
    VecStickyActions,
    VecYouTubeImitationReward,
    evaluation_env,
)
from hxwrappers.sb3.stateful import novelty_models
from hxwrappers.video.checkpoints import Checkpoints

QUICK = {
    "features": 4,
    "hidden": 4,
    "warmup_steps": 2,
    "update_every": 4,
    "batch_size": 8,
    "device": "cpu",
    "coefficient": 0.5,
}


def small(**policy):
    """Arguments of algorithms, which write into what they are handed."""
    return {"policy_kwargs": {"net_arch": [4], **policy}, "device": "cpu", "seed": 0}


def replaying():
    """Those of algorithms with a replay buffer."""
    settings = {"buffer_size": 200, "learning_starts": 10, "batch_size": 4, "train_freq": 4}
    return {**settings, **small()}


WHOLE = 0.25 * (1 + 2 + 3 + 4 + 5)
"""The return of each episode of `Walk`."""


class Walk(gym.Env):
    """Observes where it has walked to, and is paid for every step; five steps are an episode."""

    def __init__(self, continuous=False, goal=False):
        box = spaces.Box(-np.inf, np.inf, (3,), np.float32)
        self.goal = goal
        self.observation_space = box
        if goal:
            keys = ("achieved_goal", "desired_goal", "observation")
            self.observation_space = spaces.Dict(dict.fromkeys(keys, box))
        self.action_space = (
            spaces.Box(-1, 1, (1,), np.float32) if continuous else spaces.Discrete(2)
        )
        if not continuous:  # there are no masks for a Box
            self.action_masks = self.masks

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.steps, self.place = 0, np.zeros(3, np.float32)
        return self.seen(), {"frame": np.zeros((8, 8, 3), np.uint8)}

    def step(self, action):
        self.steps += 1
        self.place = self.place + self.np_random.normal(size=3).astype(np.float32)
        reward = self.compute_reward(self.place, np.ones(3), {}) if self.goal else self.steps / 4
        info = {"frame": np.full((8, 8, 3), 40 * self.steps, np.uint8)}
        return self.seen(), float(reward), self.steps == 5, False, info

    def seen(self):
        if not self.goal:
            return self.place.copy()
        parts = {"achieved_goal": self.place, "observation": self.place + 1}
        return {**parts, "desired_goal": np.ones(3, np.float32)}

    def compute_reward(self, achieved, desired, _):
        return np.abs(np.asarray(achieved) - desired).sum(axis=-1) / 4

    def masks(self):
        return np.ones(2, bool)


class Bright:
    """Sees how bright a frame is."""

    frame_size, history, dimension = (8, 8), 1, 2

    def embed(self, stacks):
        angle = stacks.float().mean((1, 2, 3, 4)) / 100
        return torch.stack([angle.cos(), angle.sin()], dim=1)


def imitation(venv, **settings):
    angles = torch.arange(1, 5) * 0.4
    track = Checkpoints(
        torch.stack([angles.cos(), angles.sin()], dim=1), torch.zeros(2), torch.arange(4), 15.0
    )
    return VecYouTubeImitationReward(
        venv, track, Bright(), coefficient=0.5, steps_per_second=15.0, **settings
    )


def key_of(venv):
    return "observation" if isinstance(venv.observation_space, spaces.Dict) else None


LAYERS = {
    "Monitor": VecMonitor,
    "Normalize": partial(VecNormalize, norm_reward=False),
    "Normalize, rewards": VecNormalize,
    "Stack": lambda venv: VecFrameStack(venv, 2),
    "RND": lambda venv: VecRNDBonus(venv, observation_key=key_of(venv), **QUICK),
    "CND": lambda venv: VecCNDBonus(venv, observation_key=key_of(venv), **QUICK),
    "Imitation": imitation,
    "Sticky": lambda venv: VecStickyActions(venv, 0.5),
}
ORDERS = [
    "RND",
    "CND",
    "Imitation",
    "Monitor | RND",
    "Sticky | RND",
    "Normalize | RND",
    "RND | Normalize",
    "RND | Normalize, rewards",
    "Stack | RND",
    "RND | Stack",
    "Stack | Normalize | RND",
    "Stack | RND | Normalize",
    "RND | CND",
    "Normalize | RND | CND",
    "RND | Normalize | CND",
    "Imitation | RND",
    "Normalize | Imitation | RND",
    "Imitation | Normalize | CND",
]
"""The layers around the vector environment, the innermost first."""
FEW = ["RND", "Normalize | RND", "RND | Normalize, rewards"]
FEW_OR_ALL = [
    pytest.param(order, marks=() if order in FEW else pytest.mark.slow) for order in ORDERS
]
"""For algorithms that get their rewards in the same way as another one does."""


class Witness(VecEnvWrapper):
    """Keeps the rewards of the environments themselves."""

    def reset(self):
        return self.venv.reset()

    def step_wait(self):
        result = self.venv.step_wait()
        self.rewards = np.array(result[1], np.float64)
        return result


def build(order, **arguments):
    venv = Witness(DummyVecEnv([lambda: Monitor(Walk(**arguments))] * 2))
    for name in order.split(" | "):
        with pytest.warns(UserWarning, match="Monitor") if name == "Monitor" else nullcontext():
            venv = LAYERS[name](venv)
    return venv


class Expected(BaseCallback):
    """Keeps what each step's reward ought to be: the game's, and the coefficient times bonuses."""

    def _on_training_start(self):
        env = self.training_env
        while not isinstance(env, Witness):
            env = env.venv
        self.witness, self.game, self.added, self.scales = env, [], [], []
        self.episodes = []

    def _on_step(self):
        infos = self.locals["infos"]
        self.game.append(self.witness.rewards.copy())
        self.added.append([0.5 * info["intrinsic_reward"] for info in infos])
        normalize = self.model.get_vec_normalize_env()
        scaled = normalize is not None and normalize.norm_reward
        self.scales.append(np.sqrt(normalize.ret_rms.var + 1e-8) if scaled else 1.0)
        self.episodes += [info["episode"]["r"] for info in infos if "episode" in info]
        return True

    def _on_rollout_end(self):
        if hasattr(self.model, "rollout_buffer"):
            self.rewards = self.model.rollout_buffer.rewards.copy()

    def total(self, scaled=False):
        total = np.array(self.game) + np.array(self.added)
        return np.clip(total / np.array(self.scales)[:, None], -10, 10) if scaled else total


def learn(model, steps=48):
    expected = Expected()
    model.learn(steps, callback=expected)
    assert np.abs(expected.added).sum() > 0
    return expected


def close(values, expected):
    values = np.asarray(values)
    np.testing.assert_allclose(values, np.asarray(expected)[-len(values) :], rtol=1e-4, atol=1e-5)


ON_POLICY = {
    "PPO": PPO,
    "MaskablePPO": MaskablePPO,
    "RecurrentPPO": partial(RecurrentPPO, "MlpLstmPolicy"),
    "DualValuePPO": DualValuePPO,
}
OFF_POLICY = {"DQN": DQN, "SAC": SAC, "TD3": TD3}


@pytest.mark.parametrize("order", ORDERS)
def test_on_policy(order):
    model = PPO("MlpPolicy", build(order), n_steps=24, batch_size=24, n_epochs=1, **small())
    expected = learn(model)
    close(expected.rewards, expected.total(scaled=True))
    assert expected.episodes == pytest.approx([WHOLE] * len(expected.episodes))
    assert expected.episodes


@pytest.mark.parametrize("order", ORDERS)
def test_two_value_heads(order):
    model = DualValuePPO("MlpPolicy", build(order), n_steps=24, batch_size=24, **small())
    expected = learn(model)
    close(expected.rewards, expected.game)
    close(model.rollout_buffer.intrinsic.rewards, expected.added)


@pytest.mark.parametrize("order", FEW_OR_ALL)
@pytest.mark.parametrize("algorithm", ["MaskablePPO", "RecurrentPPO"])
def test_masks_and_memory(algorithm, order):
    kind = ON_POLICY[algorithm]
    policy = () if algorithm == "RecurrentPPO" else ("MlpPolicy",)
    memory = {} if policy else {"lstm_hidden_size": 4}
    model = kind(*policy, build(order), n_steps=24, batch_size=24, n_epochs=1, **small(**memory))
    expected = learn(model)
    close(expected.rewards, expected.total(scaled=True))


@pytest.mark.parametrize("order", ORDERS)
def test_replay_buffer(order):
    model = DQN("MlpPolicy", build(order), **replaying())
    expected = learn(model)
    close(model.replay_buffer.rewards[: model.replay_buffer.pos], expected.total())
    # Sampled, they are what an on-policy algorithm gets.
    normalize = model.get_vec_normalize_env()
    scale = np.sqrt(normalize.ret_rms.var + 1e-8) if order.endswith("rewards") else 1.0
    sampled = model.replay_buffer.sample(20, normalize).rewards.numpy().ravel()
    known = expected.total().ravel() / scale
    assert all(np.abs(known - reward).min() < 1e-3 for reward in sampled)


@pytest.mark.parametrize("order", FEW_OR_ALL)
@pytest.mark.parametrize("algorithm", ["SAC", "TD3"])
def test_continuous_actions(algorithm, order):
    model = OFF_POLICY[algorithm]("MlpPolicy", build(order, continuous=True), **replaying())
    expected = learn(model)
    close(model.replay_buffer.rewards[: model.replay_buffer.pos], expected.total())


def inner_observation(order, stored, bonus, normalize):
    """What a bonus sees of stored observations, by hand."""
    names = order.split(" | ")
    at = names.index({VecRNDBonus: "RND", VecCNDBonus: "CND"}[type(bonus)])
    if any(name.startswith("Normalize") for name in names[:at]):
        stored = normalize.normalize_obs(stored)
    return stored[:, -3:] if "Stack" in names[at:] else stored


@pytest.mark.parametrize("order", [order for order in ORDERS if order != "Imitation"])
def test_replay_buffer_that_scores_when_sampled(order):
    envs = build(order)
    model = DQN("MlpPolicy", envs, replay_buffer_class=BonusReplayBuffer, **replaying())
    with pytest.raises(InvalidArgumentError, match="set_env"):
        model.learn(8)
    model = DQN("MlpPolicy", envs, replay_buffer_class=BonusReplayBuffer, **replaying())
    model.replay_buffer.set_env(model.get_env())
    learn(model)
    normalize = model.get_vec_normalize_env()
    buffer, bonuses = model.replay_buffer, []
    while envs is not model.get_env().unwrapped:
        bonuses += [envs] if isinstance(envs, VecRNDBonus | VecCNDBonus) else []
        envs = envs.venv
    np.random.seed(0)  # noqa: NPY002
    raw = ReplayBuffer.sample(buffer, 30)
    np.random.seed(0)  # noqa: NPY002
    batch = buffer.sample(30, env=normalize)
    wanted = raw.rewards.numpy().ravel().astype(np.float64)
    reached = raw.next_observations.numpy()
    for bonus in bonuses:
        seen = inner_observation(order, reached, bonus, normalize)
        wanted += 0.5 * bonus.model.bonus(np.asarray(seen, np.float32))
    if normalize is not None:
        wanted = normalize.normalize_reward(wanted)
        reached = normalize.normalize_obs(reached)
    np.testing.assert_allclose(batch.rewards.numpy().ravel(), wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(batch.next_observations.numpy(), reached, rtol=1e-5, atol=1e-6)


def test_a_step_is_scored_when_sampled_by_the_observation_that_it_was_scored_by():
    envs = VecCNDBonus(make_vec_env("MountainCar-v0", 2), scored="current", **QUICK)
    model = DQN("MlpPolicy", envs, replay_buffer_class=BonusReplayBuffer, **replaying())
    model.replay_buffer.set_env(model.get_env())
    model.learn(48)
    batch = model.replay_buffer.sample(30)
    wanted = 0.5 * envs.model.bonus(batch.observations.numpy()) - 1  # each step costs 1
    assert np.ptp(wanted) > 0
    np.testing.assert_allclose(batch.rewards.numpy().ravel(), wanted, atol=1e-6)


GOALS = [order for order in ORDERS if "Stack" not in order and "ND" in order]
"""Frames are not stacked here: goals would be stacked as well."""


@pytest.mark.parametrize("order", GOALS)
@pytest.mark.parametrize("buffer_class", [BonusDictReplayBuffer, BonusHerReplayBuffer])
def test_goals(order, buffer_class):
    envs = build(order, goal=True)
    model = DQN("MultiInputPolicy", envs, replay_buffer_class=buffer_class, **replaying())
    if buffer_class is BonusDictReplayBuffer:
        model.replay_buffer.set_env(model.get_env())
    learn(model)
    normalize = model.get_vec_normalize_env()
    plain = HerReplayBuffer if buffer_class is BonusHerReplayBuffer else DictReplayBuffer
    np.random.seed(0)  # noqa: NPY002
    kept = plain.sample(model.replay_buffer, 40)
    np.random.seed(0)  # noqa: NPY002
    batch = model.replay_buffer.sample(40, normalize)
    raw = {key: part.numpy() for key, part in kept.next_observations.items()}
    seen = raw if normalize is None else normalize.normalize_obs(raw)
    # The reward of whatever goal the transition now has, and the bonus of the place reached.
    wanted = kept.rewards.numpy().ravel()
    if "Imitation" not in order:
        distance = np.abs(raw["achieved_goal"] - raw["desired_goal"]).sum(axis=1) / 4
        np.testing.assert_allclose(wanted, distance, rtol=1e-4, atol=1e-5)
    names = order.split(" | ")
    for name in reversed(names):
        if isinstance(envs, VecRNDBonus | VecCNDBonus):
            outside = any(each.startswith("Normalize") for each in names[: names.index(name)])
            wanted = wanted + 0.5 * envs.model.bonus((seen if outside else raw)["observation"])
        envs = envs.venv
    if normalize is not None:
        wanted = normalize.normalize_reward(wanted)
    np.testing.assert_allclose(batch.rewards.numpy().ravel(), wanted, rtol=1e-4, atol=1e-5)


def test_relabelled_goals_without_a_bonus_are_warned_of():
    envs = build("RND", goal=True)
    model = DQN("MultiInputPolicy", envs, replay_buffer_class=HerReplayBuffer, **replaying())
    with pytest.warns(StatisticsWarning, match="BonusHerReplayBuffer"):
        model.learn(48)


@pytest.mark.parametrize("order", [*ORDERS, "Progress | RND", "Progress | RND | Stack"])
def test_evaluation(order, monkeypatch):
    monkeypatch.setitem(LAYERS, "Progress", partial(imitation, observe_progress=True))
    monkeypatch.setitem(
        LAYERS, "RND", lambda venv: VecRNDBonus(venv, observation_key=key_of(venv), **QUICK)
    )
    envs = build(order)
    policy = "MultiInputPolicy" if "Progress" in order else "MlpPolicy"
    model = PPO(policy, envs, n_steps=24, batch_size=24, n_epochs=1, **small())
    evaluated = evaluation_env(envs, Witness(DummyVecEnv([lambda: Monitor(Walk())])))
    learned = []
    for callback in (None, EvalCallback(evaluated, eval_freq=8, n_eval_episodes=2, verbose=0)):
        before = [each.updates for each in novelty_models(envs)]
        model.learn(48, callback=callback)
        learned.append(
            [each.updates - old for each, old in zip(novelty_models(envs), before, strict=True)]
        )
    assert all(abs(one - other) <= 1 for one, other in zip(*learned, strict=True))
    assert callback.last_mean_reward == pytest.approx(WHOLE)
    assert evaluate_policy(model, evaluated, 2)[0] == pytest.approx(WHOLE)


def test_a_monitor_outside_is_warned_of():
    venv = VecMonitor(VecRNDBonus(DummyVecEnv([Walk]), **QUICK))
    with pytest.warns(StatisticsWarning, match="VecMonitor contain what VecRNDBonus"):
        venv.reset()
    with pytest.warns(StatisticsWarning, match=r"Monitor contain what RNDBonus"):
        PPO("MlpPolicy", RNDBonus(Walk(), **QUICK), n_steps=8, batch_size=8, **small()).learn(8)
    model = DualValuePPO(
        "MlpPolicy", RNDBonus(Walk(), **QUICK), n_steps=24, batch_size=24, **small()
    )
    expected = Statistics()
    model.learn(24, callback=expected)
    assert expected.returns == pytest.approx([WHOLE] * 4)


class Statistics(BaseCallback):
    """Keeps the returns of episodes."""

    def _on_training_start(self):
        self.returns = []

    def _on_step(self):
        self.returns += [i["episode"]["r"] for i in self.locals["infos"] if "episode" in i]
        return True


def test_bonuses_of_single_environments_are_warned_of():
    envs = DummyVecEnv([lambda: Monitor(RNDBonus(Walk(), **QUICK))] * 2)
    with pytest.warns(StatisticsWarning):
        envs.reset()
    envs = DummyVecEnv([lambda: RNDBonus(Monitor(Walk()), **QUICK)] * 2)
    with pytest.warns(SharedModelWarning, match="VecRNDBonus"):
        envs.reset()


@pytest.mark.parametrize("layer", ["RND", "CND", "Imitation"])
def test_rescaled_rewards_inside_are_refused(layer):
    with pytest.raises(InvalidArgumentError, match="norm_reward=False"):
        build(f"Normalize, rewards | {layer}")


def test_an_evaluation_that_teaches_is_warned_of():
    envs = build("RND")
    model = PPO("MlpPolicy", envs, n_steps=8, batch_size=16, n_epochs=1, **small())
    with pytest.warns(StatisticsWarning, match="evaluation_env"):
        evaluate_policy(model, envs, 2)
    envs.training = False
    evaluate_policy(model, envs, 2)


def test_an_environment_for_evaluation_is_a_plain_one():
    for order in ("RND", "Normalize"):
        with pytest.raises(InvalidArgumentError, match="without"):
            evaluation_env(build("RND"), build(order))
    with pytest.raises(InvalidArgumentError, match="without"):
        evaluation_env(build("RND"), RNDBonus(Walk(), **QUICK))
    with pytest.raises(InvalidArgumentError, match="observes"):
        evaluation_env(build("RND"), Witness(DummyVecEnv([lambda: Monitor(Walk(goal=True))])))
    with pytest.raises(InvalidArgumentError, match="Witness"):
        evaluation_env(build("RND"), "CartPole-v1")


def test_a_buffer_without_a_bonus_to_compute():
    envs = build("Imitation")
    model = DQN("MlpPolicy", envs, replay_buffer_class=BonusReplayBuffer, **replaying())
    with pytest.raises(InvalidArgumentError, match="finds no novelty bonus"):
        model.replay_buffer.set_env(envs)
    envs = build("RND")
    model = DQN("MlpPolicy", envs, replay_buffer_class=BonusReplayBuffer, **replaying())
    model.learn(24, callback=ExplorationLog())  # which tells it
    assert model.replay_buffer.knows_bonus


def rows_of_the_page():
    page = Path(__file__).parents[2] / "docs" / "how-to" / "order-of-wrappers.md"
    table = re.search(r"\| order .*?\n\n", page.read_text(), re.S)
    for line in table[0].strip().splitlines()[2:]:
        order, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        yield order.strip("`").replace(" > ", " | "), cells


def test_the_page_says_what_is_tested_here():
    rows = dict(rows_of_the_page())
    refused = {f"Normalize, rewards | {layer}" for layer in ("RND", "CND", "Imitation")}
    assert {*rows} == {*ORDERS} | refused
    for order, (summed, heads, stored, sampled, goals, evaluated) in rows.items():
        if order in refused:
            assert {summed, heads, stored, sampled, goals, evaluated} == {"refused"}
            continue
        scaled = "(game + bonus) / s" if order.endswith("rewards") else "game + bonus"
        assert (summed, stored, evaluated) == (scaled, scaled, "game")
        assert heads == "game, bonus"
        assert sampled == ("refused" if order == "Imitation" else scaled)
        assert goals == (scaled if order in GOALS else "refused" if sampled == "refused" else "-")
