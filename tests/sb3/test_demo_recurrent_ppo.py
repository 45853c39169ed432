"""DemoRecurrentPPO: which steps count, hidden states, losses and temperatures."""

import copy
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from sb3_contrib.ppo_recurrent import MlpLstmPolicy
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.utils import set_random_seed
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecFrameStack,
    VecMonitor,
)

from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3 import DemoRecurrentPPO, from_vector_env

REPLAYED, NEAR = 2, 4
SMALL: dict[str, Any] = {"lstm_hidden_size": 8, "net_arch": []}
SHORT: dict[str, Any] = {"n_steps": 8, "batch_size": 16, "burn_in": 5, "device": "cpu", "seed": 0}


class Flagged(gym.Env[Any, Any]):
    """Observes `[noise, its step, is replayed, is near the start]`; seven steps or fewer."""

    metadata = {"render_modes": []}  # noqa: RUF012

    def __init__(
        self,
        actions: spaces.Space[Any] | None = None,
        is_dict: bool = False,
        replayed: int = REPLAYED,
    ) -> None:
        box = spaces.Box(-10, 10, (4,), np.float32)
        self.observation_space = spaces.Dict(a=box) if is_dict else box
        self.action_space = spaces.Discrete(3) if actions is None else actions
        self.replayed = replayed

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None):
        super().reset(seed=seed)
        self.count = 0
        self.length = int(self.np_random.integers(3, 8))
        return self._look()

    def step(self, action: Any):
        self.count += 1
        observation, info = self._look()
        over = self.count >= self.length
        odd = self.length % 2 == 1
        return observation, float(np.sum(action)), over and odd, over and not odd, info

    def _look(self):
        info = {
            "replaying": self.count < self.replayed,
            "near_start": self.replayed <= self.count < NEAR,
        }
        noise = self.np_random.normal(scale=0.5)
        seen = np.array([noise, self.count, *map(float, info.values())], np.float32)
        return ({"a": seen} if isinstance(self.observation_space, spaces.Dict) else seen), info


def make(envs=3, kind=DemoRecurrentPPO, policy_kwargs=None, env_kwargs=None, **arguments):
    venv = DummyVecEnv([lambda: Flagged(**(env_kwargs or {}))] * envs)
    is_dict = isinstance(venv.observation_space, spaces.Dict)
    return kind(
        "MultiInputLstmPolicy" if is_dict else "MlpLstmPolicy",
        venv,
        policy_kwargs={**SMALL, **(policy_kwargs or {})},
        **{**SHORT, **arguments},
    )


def flags_in(observations):
    """What the environments said about each step, and what the buffer should hold."""
    said = observations[..., -2:] > 0.5
    return ~said[..., 0], np.where(said[..., 1], 2.0, 1.0)


class Checked(DemoRecurrentPPO):
    """Compares each rollout with the environments and with the weights that acted."""

    rollouts = 0

    def train(self) -> None:
        buffer = self.rollout_buffer
        seen = buffer.observations
        valid, temperature = flags_in(seen["a"] if isinstance(seen, dict) else seen)
        np.testing.assert_array_equal(buffer.valid, valid)
        np.testing.assert_array_equal(buffer.temperature, temperature)
        self.policy.set_training_mode(False)
        for batch in buffer.get():
            actions = batch.actions
            if isinstance(self.action_space, spaces.Discrete):
                actions = actions.flatten()
            values, log_prob, _ = self.policy.evaluate_actions(
                batch.observations, actions, batch.lstm_states, batch.episode_starts
            )
            close = {"rtol": 0, "atol": 1e-5}
            mask = batch.mask
            torch.testing.assert_close(log_prob[mask], batch.old_log_prob[mask], **close)
            torch.testing.assert_close(values.flatten()[mask], batch.old_values[mask], **close)
        self.rollouts += 1
        super().train()


# -- rollouts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrap",
    [
        lambda: DummyVecEnv([Flagged] * 2),
        lambda: SubprocVecEnv([Flagged] * 2, start_method="fork"),
        lambda: VecFrameStack(VecMonitor(DummyVecEnv([Flagged] * 2)), 2),
        lambda: VecMonitor(
            from_vector_env(SyncVectorEnv([Flagged] * 2, autoreset_mode=AutoresetMode.SAME_STEP))
        ),
        lambda: from_vector_env(
            SyncVectorEnv([Flagged] * 2, autoreset_mode=AutoresetMode.DISABLED)
        ),
    ],
    ids=["dummy", "subproc", "stacked", "same-step", "disabled"],
)
def test_flags_and_ratios_over_all_kinds_of_environments(wrap):
    envs = wrap()
    # Learning that is fast makes stale states differ.
    model = Checked("MlpLstmPolicy", envs, policy_kwargs=SMALL, **SHORT, learning_rate=0.05)
    model.learn(2 * 8 * 2)
    model.learn(2 * 8 * 2, reset_num_timesteps=False)  # the episodes go on
    assert model.rollout_buffer.tail is not None
    envs.seed(3)
    model._last_obs = None
    model.learn(1, reset_num_timesteps=False)  # fresh episodes
    assert model.rollout_buffer.tail is None
    model.learn(2 * 8)  # likewise
    assert model.rollout_buffer.tail is None
    assert model.rollouts == 6
    envs.close()


@pytest.mark.parametrize(
    "policy_kwargs",
    [
        {"shared_lstm": True, "enable_critic_lstm": False},
        {"enable_critic_lstm": False},
        {"n_lstm_layers": 2},
        {"share_features_extractor": False, "net_arch": {"pi": [4], "vf": [5]}},
    ],
    ids=["shared", "no critic LSTM", "two layers", "own extractors"],
)
def test_ratios_are_one_for_all_networks(policy_kwargs):
    model = make(kind=Checked, policy_kwargs=policy_kwargs, learning_rate=0.05)
    assert model.learn(3 * 8 * 3).rollouts == 3


@pytest.mark.parametrize(
    ("actions", "is_dict"),
    [
        (spaces.Discrete(3), True),
        (spaces.MultiDiscrete([2, 3]), False),
        (spaces.MultiBinary(2), False),
    ],
    ids=str,
)
def test_ratios_are_one_for_all_spaces(actions, is_dict):
    env_kwargs = {"actions": actions, "is_dict": is_dict}
    model = make(kind=Checked, env_kwargs=env_kwargs, learning_rate=0.05, burn_in=20)
    assert model.learn(3 * 8 * 3).rollouts == 3


def test_continuous_actions_have_no_temperature():
    env_kwargs = {"actions": spaces.Box(-1, 1, (2,))}
    with pytest.raises(InvalidArgumentError, match="near_start_temperature=1"):
        make(env_kwargs=env_kwargs)
    assert make(env_kwargs=env_kwargs, near_start_temperature=1.0).learn(48).num_timesteps == 48


def test_bad_arguments():
    with pytest.raises(InvalidArgumentError, match="burn_in"):
        make(burn_in=-1)
    with pytest.raises(InvalidArgumentError, match="near_start_temperature"):
        make(near_start_temperature=0.0)
    with pytest.raises(InvalidArgumentError, match="knows no temperature"):
        DemoRecurrentPPO(MlpLstmPolicy, DummyVecEnv([Flagged]), device="cpu")


class Looks(BaseCallback):
    """Evaluates one environment alone in the middle of rollouts, and can stop."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.stop_at = stop_at

    def _on_step(self) -> bool:
        action, _ = self.model.predict(np.zeros(4, np.float32))
        assert action.shape == ()
        return self.num_timesteps != self.stop_at


def test_predict_in_the_middle_of_a_rollout():
    model = make().learn(48, callback=Looks())
    assert model.policy.acting_temperature == 1.0


def test_going_on_after_a_rollout_that_was_stopped():
    model = make().learn(240, callback=Looks(stop_at=3 * 8 + 9))
    assert model.num_timesteps == 3 * 8 + 9
    assert model.rollout_buffer.tail is not None
    model.learn(24, reset_num_timesteps=False)
    assert model.rollout_buffer.tail is None


# -- hidden states ------------------------------------------------------------------------------


def stepped(policy, states, observations, starts):
    """Recurrent states after going through observations one by one."""
    for observation, start in zip(observations, starts, strict=True):
        with torch.no_grad():
            *_, states = policy(torch.as_tensor(observation), states, torch.as_tensor(start))
    return states


@pytest.mark.parametrize("policy_kwargs", [{}, {"n_lstm_layers": 2, "enable_critic_lstm": False}])
def test_first_states_equal_stepping_with_the_present_weights(policy_kwargs):
    model = make(policy_kwargs=policy_kwargs, envs=4).learn(2 * 8 * 4)
    buffer, policy = model.rollout_buffer, model.policy
    buffer.episode_starts[0, 0] = 1
    going_on = np.flatnonzero(buffer.episode_starts[0] < 0.5)
    assert 0 < len(going_on) < 4
    before = {}
    for spread in (0.0, 0.5):  # after the update, and after a large one
        with torch.no_grad():
            for weights in policy.parameters():
                weights.add_(spread * torch.randn_like(weights))
        tail = buffer.tail
        pi_0, pi_1, vf_0, vf_1 = map(torch.as_tensor, tail.states)
        by_hand = stepped(
            policy,
            RNNStates((pi_0, pi_1), (vf_0, vf_1)),
            tail.observations,
            tail.episode_starts,
        )
        (batch,) = buffer.get()
        pieces = buffer._pieces(np.arange(4))
        for ours, theirs in zip(
            [*batch.lstm_states.pi, *batch.lstm_states.vf],
            [*by_hand.pi, *by_hand.vf],
            strict=True,
        ):
            for column, piece in enumerate(pieces):
                goes_on = piece.start == 0 and piece.env in going_on
                expected = theirs[:, piece.env] if goes_on else torch.zeros_like(theirs[:, 0])
                torch.testing.assert_close(ours[:, column], expected, rtol=0, atol=1e-6)
        before[spread] = by_hand.pi[0]
    assert not torch.allclose(before[0.0], before[0.5], atol=1e-2)


@pytest.mark.parametrize("burn_in_gradient", [True, False])
def test_the_gradient_goes_through_the_burn_in_as_in_one_graph(burn_in_gradient):
    model = make(envs=1, burn_in_gradient=burn_in_gradient).learn(2 * 8)
    buffer, policy = model.rollout_buffer, model.policy
    buffer.episode_starts[:] = 0
    buffer.tail.episode_starts[:] = 0
    buffer.valid[:] = True

    def gradient(values):
        policy.zero_grad()
        values.flatten()[-8:].sum().backward()
        return torch.cat([weights.grad.flatten() for weights in policy.lstm_critic.parameters()])

    (batch,) = buffer.get()
    values, _, _ = policy.evaluate_actions(
        batch.observations, batch.actions, batch.lstm_states, batch.episode_starts
    )
    ours = gradient(values)
    states = [torch.as_tensor(state) for state in buffer.tail.states]
    whole = np.concatenate([buffer.tail.observations[:, 0], buffer.observations[:, 0]])
    start = RNNStates((states[0], states[1]), (states[2], states[3]))
    steps = len(whole)
    assert steps == 5 + 8
    values, _, _ = policy.evaluate_actions(
        torch.as_tensor(whole), torch.zeros(steps), start, torch.zeros(steps)
    )
    in_one_graph = gradient(values)
    assert torch.allclose(ours, in_one_graph, rtol=1e-4, atol=1e-6) == burn_in_gradient


def test_replayed_steps_warm_the_hidden_state_up():
    model = make(envs=1, n_steps=16, learning_rate=0.0).learn(16)
    buffer = model.rollout_buffer
    zeros = torch.zeros(1, 1, 8)
    nothing = RNNStates((zeros, zeros), (zeros, zeros))
    first = int(np.flatnonzero(buffer.episode_starts[1:, 0])[0]) + 1
    assert not buffer.valid[first : first + REPLAYED].any()
    assert buffer.valid[first + REPLAYED]
    after = stepped(
        model.policy,
        nothing,
        buffer.observations[first : first + REPLAYED],
        np.zeros((REPLAYED, 1), np.float32),
    )
    held = buffer.hidden_states_pi[first + REPLAYED]
    np.testing.assert_allclose(held, after.pi[0], atol=1e-6)
    assert np.abs(held).max() > 0.01


# -- losses -------------------------------------------------------------------------------------


def test_losses_by_hand():
    model = make(envs=1, n_steps=6, n_epochs=1, batch_size=None, ent_coef=0.1, clip_range=0.1)
    model.learn(6)
    with torch.no_grad():
        for weights in model.policy.parameters():
            weights.zero_()
    buffer = model.rollout_buffer
    buffer.episode_starts[:] = 0
    buffer.valid[:, 0] = [False, False, True, True, True, False]
    buffer.returns[:, 0] = [100, 100, 1, 2, 3, 100]
    buffer.advantages[:, 0] = [100, 100, 1, 2, 6, 100]
    buffer.log_probs[:, 0] = np.log(np.array([9, 9, 1, 0.5, 1, 9]) / 3)
    model.train()
    logged = model.logger.name_to_value
    # Values are 0; all three actions have probability 1/3, so the ratios are 1, 2 and 1.
    assert logged["train/value_loss"] == pytest.approx(14 / 3)
    assert logged["train/entropy_loss"] == pytest.approx(-np.log(3))
    # Advantages less their mean 3 are -2, -1 and 3, of standard deviation sqrt(7); the ratio of
    # the second is not clipped, since its advantage is negative.
    assert logged["train/policy_gradient_loss"] == pytest.approx((2 + 2 - 3) / 3 / np.sqrt(7))
    assert logged["train/clip_fraction"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("batch_size", [None, 8])
def test_what_replayed_steps_hold_does_not_matter(batch_size):
    model = make(envs=4, batch_size=batch_size, n_epochs=2, learning_rate=0.01)
    model.learn(2 * 8 * 4)
    buffer = model.rollout_buffer
    weights = copy.deepcopy(model.policy.state_dict())
    momentum = copy.deepcopy(model.policy.optimizer.state_dict())
    kept = {
        name: getattr(buffer, name).copy()
        for name in ("rewards", "actions", "advantages", "returns", "values", "log_probs")
    }

    def trained(where, seed):
        model.policy.load_state_dict(weights)
        model.policy.optimizer.load_state_dict(copy.deepcopy(momentum))
        generator = np.random.default_rng(seed)
        for name, array in kept.items():
            noise = generator.integers(0, 3, array.shape).astype(array.dtype)
            mask = where.reshape(where.shape + (1,) * (array.ndim - 2))
            setattr(buffer, name, np.where(mask, noise, array))
        set_random_seed(0)
        model.train()
        return torch.cat([part.flatten() for part in model.policy.state_dict().values()])

    replayed = ~buffer.valid
    assert replayed.sum() > 4
    plain = trained(np.zeros_like(replayed), 0)
    assert torch.equal(plain, trained(replayed, 1))
    assert torch.equal(plain, trained(replayed, 2))
    assert not torch.equal(plain, trained(buffer.valid, 1))


def test_advantages_of_own_steps_do_not_see_replayed_rewards():
    model = make(envs=4).learn(32)
    buffer = model.rollout_buffer
    dones, values = np.zeros(4, bool), torch.ones(4)
    results = []
    for reward in (0.0, 50.0):
        buffer.rewards[~buffer.valid] = reward
        buffer.compute_returns_and_advantage(values, dones)
        results.append(buffer.advantages[buffer.valid])
    np.testing.assert_array_equal(*results)


def test_of_a_rollout_that_only_replays_nothing_is_learned():
    model = make(env_kwargs={"replayed": 100})
    before = copy.deepcopy(model.policy.state_dict())
    model.learn(2 * 8 * 3)
    assert not model.rollout_buffer.valid.any()
    for name, weights in model.policy.state_dict().items():
        assert torch.equal(weights, before[name])


def test_temperature_divides_the_logits():
    policy = make(envs=2).policy
    observations = torch.tensor([[0.5, 1, 0, 1], [0.5, 1, 0, 1]])
    zeros = torch.zeros(1, 2, 8)
    states = RNNStates((zeros, zeros), (zeros, zeros))
    starts = torch.zeros(2)
    distribution, _ = policy.get_distribution(observations, states.pi, starts)
    logits = distribution.distribution.logits[0]
    policy.acting_temperature = torch.tensor([1.0, 2.0])
    actions, _, log_probs, _ = policy(observations, states, starts, deterministic=True)
    for divisor, action, log_prob in zip((1.0, 2.0), actions, log_probs, strict=True):
        expected = torch.log_softmax(logits / divisor, 0)[action]
        torch.testing.assert_close(log_prob, expected)
    policy.temperature = 0.5
    distribution, _ = policy.get_distribution(observations, states.pi, starts)
    sharper = torch.softmax(logits / 0.5, 0)
    torch.testing.assert_close(distribution.distribution.probs[0], sharper)
