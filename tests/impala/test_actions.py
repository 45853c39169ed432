"""Numbered and continuous actions: probabilities, bounds, and that the latter are learned."""

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import SyncVectorEnv
from torch.distributions import Categorical, Independent, Normal

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.impala import Impala, load_policy
from hxwrappers.impala.actions import BoxActions, NumberedActions, actions_of
from hxwrappers.impala.layout import PREVIOUS_ACTION, PREVIOUS_REWARD, EnvSpec
from hxwrappers.impala.learner import Learner
from hxwrappers.impala.net import ImpalaNet
from hxwrappers.impala.policy import play
from hxwrappers.impala.sampler import NetPolicy, Sampler
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.unrolls import BatchBuffer, UnrollShape
from tests.impala import runs

TWO = actions_of(spaces.Box(-2, 2, (2,)))


def distribution(actions, outputs):
    if isinstance(actions, NumberedActions):
        return Categorical(logits=outputs)
    means, log_deviations = outputs.chunk(2, -1)
    return Independent(Normal(means, log_deviations.exp()), 1)


@pytest.mark.parametrize(("actions", "width"), [(NumberedActions(4), 4), (TWO, 4)])
def test_probabilities_and_entropies_are_those_of_the_distribution(actions, width):
    outputs = torch.randn(5, 3, width, generator=torch.Generator().manual_seed(0))
    wanted = distribution(actions, outputs)
    drawn = wanted.sample()
    assert drawn.shape[2:] == actions.shape
    torch.testing.assert_close(actions.log_probabilities(outputs, drawn), wanted.log_prob(drawn))
    torch.testing.assert_close(actions.entropies(outputs), wanted.entropy())


@pytest.mark.parametrize(("actions", "width"), [(NumberedActions(4), 4), (TWO, 4)])
def test_what_is_chosen_has_the_probability_that_is_told(actions, width):
    outputs = torch.randn(1, width, generator=torch.Generator().manual_seed(0)).expand(4000, -1)
    generator = torch.Generator().manual_seed(1)
    chosen, log_mus = actions.choose(outputs, generator, False, 1.0)
    torch.testing.assert_close(log_mus, actions.log_probabilities(outputs, chosen))
    # The mean of -log p of what is drawn is the entropy.
    assert -log_mus.mean().item() == pytest.approx(actions.entropies(outputs)[0].item(), abs=0.06)
    best, log_best = actions.choose(outputs[:1], generator, True, 1.0)
    assert (log_best >= log_mus.max() - 1e-6).all()
    hot = actions.choose(outputs, generator, False, 4.0)[0]
    probable = actions.log_probabilities(outputs, hot).mean()
    assert probable < log_mus.mean() - 0.05  # under the policy as it is
    assert torch.equal(best, actions.choose(outputs[:1], generator, True, 4.0)[0])


@pytest.mark.parametrize(
    ("space", "drawn", "given"),
    [
        (spaces.Box(-2, 2, (2,)), [[0.5, -3.0]], [[1.0, -2.0]]),
        (spaces.Box(0, np.inf, (1,)), [[-1.0], [7.0]], [[0.0], [7.0]]),
        (spaces.Box(-np.inf, np.inf, (2, 1)), [[9.0, -9.0]], [[[9.0], [-9.0]]]),
        (spaces.Box(0, 10, (1,), np.int64), [[0.31]], [[7]]),
        (spaces.Box(0, 1, (), np.float64), [[0.0]], [0.5]),
        (spaces.Box(-3e38, 3e38, (1,)), [[1.0]], [[3e38]]),
    ],
)
def test_environments_get_actions_of_their_space(space, drawn, given):
    made = actions_of(space).for_env(np.array(drawn, np.float32))
    np.testing.assert_allclose(made, np.array(given), rtol=1e-6)
    assert made.dtype == space.dtype
    assert all(space.contains(action if space.shape else np.asarray(action)) for action in made)


@pytest.mark.parametrize("space", [spaces.MultiBinary(3), spaces.Box(0, 1, (0,)), spaces.Text(3)])
def test_other_actions_are_refused(space):
    with pytest.raises(InvalidArgumentError, match="Discrete or a Box"):
        actions_of(space)


class Aim(gym.Env):
    """One step an episode: the reward is higher the nearer the action is to what was shown.

    What is shown has a choice (which of three targets) and a number that is added to it.
    """

    def __init__(self):
        self.observation_space = spaces.Dict(
            target=spaces.Discrete(3, start=2), offset=spaces.Box(-1, 1, (1,), np.float32)
        )
        self.action_space = spaces.Box(-4, 4, (1,), np.float32)

    def _observation(self):
        self.target = int(self.np_random.integers(2, 5))
        self.offset = self.np_random.uniform(-1, 1, 1).astype(np.float32)
        return {"target": np.int64(self.target), "offset": self.offset}

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        return self._observation(), {}

    def step(self, action):
        assert self.action_space.contains(action)
        wanted = 2.0 * (self.target - 3) + self.offset[0]
        reward = -abs(float(action[0]) - wanted)
        return self._observation(), reward, True, False, {}


def make_aims():
    return SyncVectorEnv([Aim] * 16, autoreset_mode="SameStep")


OPTIONS = {
    "num_actors": 1,
    "envs_per_actor": 16,
    "batch_size": 16,
    "unroll_length": 8,
    "optimizer": "adam",
    "learning_rate": 1e-2,
    "features": 32,
    "entropy_coef": 0.0,
    "learner_threads": 1,
}


@pytest.mark.parametrize("previous_inputs", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_continuous_actions_and_choices_shown_are_learned(previous_inputs):
    """In this process, since it is a matter of seconds then: sampler, learner, and playing."""
    settings = ImpalaSettings(**OPTIONS, previous_inputs=previous_inputs)
    env = make_aims()
    spec = EnvSpec.of(env)
    torch.manual_seed(0)
    learner = Learner(ImpalaNet.of(spec, settings, "float32"), settings)
    policy = NetPolicy(learner.net, seed=0)
    sampler = Sampler(env, policy, 0)
    shape = UnrollShape.of(spec, settings)
    unroll, buffer = shape.allocate(), BatchBuffer(shape, torch.device("cpu"))
    for update in range(150):
        sampler.fill(unroll)
        buffer.add(unroll)
        figures = learner.learn(buffer.take(), update / 150)
        assert not figures["skipped_updates"]
    policy.deterministic = True
    scores = [episode.score for episode in play(env, policy, 160)]
    assert np.mean(scores) > -0.7  # an action of 0 gets -1.4, a random one less


def test_previous_inputs_are_what_was_done_and_given():
    settings = ImpalaSettings(**OPTIONS, previous_inputs=True, lstm=4)
    env = runs.make_corridors()
    spec = EnvSpec.of(env)
    net = ImpalaNet.of(spec, settings, "float32")
    sampler = Sampler(env, NetPolicy(net, seed=0), 0)
    unroll = UnrollShape.of(spec, settings).allocate()
    for _ in range(2):
        last = (unroll.actions[-1].copy(), unroll.rewards[-1].copy())
        sampler.fill(unroll)
    actions = np.concatenate([last[0][None], unroll.actions])
    rewards = np.concatenate([last[1][None], unroll.rewards])
    np.testing.assert_array_equal(unroll.observations[PREVIOUS_ACTION], actions)
    np.testing.assert_array_equal(unroll.observations[PREVIOUS_REWARD], rewards)

    parts = {name: torch.from_numpy(part) for name, part in unroll.observations.items()}
    state = net.initial_state(2)
    no, yes = torch.zeros(9, 2, dtype=torch.bool), torch.ones(9, 2, dtype=torch.bool)
    changed = parts | {PREVIOUS_REWARD: parts[PREVIOUS_REWARD] - 1}
    assert not torch.equal(net(parts, no, state).logits, net(changed, no, state).logits)
    # What was before the first observation of an episode is no part of it.
    assert torch.equal(net(parts, yes, state).logits, net(changed, yes, state).logits)
    # Rewards are limited to -1 and 1.
    large, larger = ({PREVIOUS_REWARD: torch.full((9, 2), value)} for value in (1.0, 50.0))
    assert torch.equal(net(parts | large, no, state).logits, net(parts | larger, no, state).logits)


@pytest.mark.parametrize("previous_inputs", [False, True])
def test_a_run_with_continuous_actions_is_saved_and_played(tmp_path, previous_inputs):
    settings = ImpalaSettings(**OPTIONS, previous_inputs=previous_inputs)
    run = Impala(make_aims, settings, tmp_path)
    run.train(400, progress=False)
    again = Impala(make_aims, settings, tmp_path)
    assert again.resume() == run.num_timesteps
    policy = load_policy(tmp_path)
    assert policy.spec == run.spec
    assert isinstance(policy.spec.actions, BoxActions)
    env = make_aims()
    assert len(play(env, policy.acting, 16)) == 16
    observations, _ = env.reset(seed=0)
    if previous_inputs:
        with pytest.raises(InvalidArgumentError, match=r"play\(env, policy\.acting"):
            policy.act(observations)
        return
    actions, _ = policy.act(observations)
    assert all(env.single_action_space.contains(action) for action in actions)
    policy.require_fit(Aim())
