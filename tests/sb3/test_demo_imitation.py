"""Imitation of a demonstration's steps: its loss, the gradient it adds, and what it imitates."""

from functools import partial

import gymnasium as gym
import numpy as np
import pytest
import torch
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

from hxwrappers import DemoResetCurriculum, SkipReplayedSteps
from hxwrappers.demos import shipped
from hxwrappers.envs import make_atari
from hxwrappers.errors import InvalidArgumentError
from hxwrappers.sb3 import DemoImitation, DemoRecurrentPPO
from hxwrappers.sb3.self_imitation import imitation_loss
from tests.demos.samples import lake_demo, lake_env
from tests.wrappers.curricula import tracker_of

DEMO = lake_demo()  # 1, 1, 2, 1, 2, 2 earn 1 with the last step


def lake(tracker, replay_steps=0, demo=DEMO):
    return DemoResetCurriculum(lake_env(), demo, tracker, replay_steps=replay_steps)


def test_the_loss_worked_out_by_hand():
    log_prob = torch.tensor([-0.5, -2.0, -1.0], requires_grad=True)
    values = torch.tensor([0.25, 1.5, 0.0], requires_grad=True)
    returns = torch.tensor([1.0, 1.0, 0.5])
    entropy = torch.tensor([0.1, 0.2, 0.3])
    loss = imitation_loss(log_prob, values, returns, entropy, value_weight=0.5, entropy_weight=0.25)
    # Gains 0.75, 0 and 0.5: policy 0.375 + 0.5, value 0.5 * (0.5625 + 0.25) / 2, entropy 0.6.
    assert loss.item() == pytest.approx((0.875 + 0.203125 - 0.15) / 3)
    loss.backward()
    np.testing.assert_allclose(log_prob.grad, [-0.25, 0.0, -0.5 / 3], rtol=1e-6)
    # No gradient through the gain that weighs the likelihood.
    np.testing.assert_allclose(values.grad, [-0.125, 0.0, -0.25 / 3], rtol=1e-6)
    spread = imitation_loss(log_prob, values, returns, entropy_weight=0.25, value_weight=0.0)
    assert spread.item() == pytest.approx((0.875 - 0.25 * 3.5) / 3)


def model_of(algorithm, make, **kwargs):
    policy = "MlpLstmPolicy" if algorithm is DemoRecurrentPPO else "MlpPolicy"
    sizes = {} if algorithm is A2C else {"batch_size": 16, "n_epochs": 2}
    return algorithm(policy, DummyVecEnv([make] * 2), n_steps=16, seed=0, **sizes, **kwargs)


# Once the value is known there is nothing to gain any more; the recurrent one knows it soon.
@pytest.mark.parametrize(
    ("algorithm", "steps"),
    [
        (PPO, 400),
        pytest.param(A2C, 400, marks=pytest.mark.slow),
        pytest.param(DemoRecurrentPPO, 96, marks=pytest.mark.slow),
    ],
)
def test_what_is_demonstrated_becomes_likely(algorithm, steps):
    tracker = tracker_of(DEMO, window=2)
    make = partial(lake, tracker, replay_steps=2)
    model = model_of(algorithm, make, learning_rate=0.01, ent_coef=0.0)
    imitation = DemoImitation(make, weight=10.0)
    start = tracker.latest[0]
    assert start == 5
    # It comes there by 9 and 13, which recurrent policies remember, and goes right.
    told = (torch.tensor([9, 13, 14]), torch.tensor([1, 2, 2]))
    if algorithm is DemoRecurrentPPO:
        zeros = torch.zeros(1, 1, 256)
        told += (RNNStates((zeros, zeros), (zeros, zeros)), torch.zeros(3))

    def likelihood():
        with torch.no_grad():
            return model.policy.evaluate_actions(*told)[1][-1].exp().item()

    before = likelihood()
    model.learn(steps, callback=imitation)
    assert likelihood() > before + 0.3
    assert not model.policy.optimizer._optimizer_step_pre_hooks  # taken away again
    assert imitation.env.get_wrapper_attr("tracker") is tracker


@pytest.mark.slow
def test_only_its_gradient_is_added_and_weight_zero_changes_nothing():
    tracker = tracker_of(DEMO, window=2)

    def learned(*callbacks):
        tracker.store.replace(tracker_of(DEMO, window=2).store.look(lambda t: t.words))
        model = model_of(PPO, partial(lake, tracker))
        model.learn(64, callback=list(callbacks))
        return torch.cat([p.detach().flatten() for p in model.policy.parameters()])

    alone = learned()
    assert torch.equal(alone, learned(DemoImitation(partial(lake, tracker), weight=0.0)))
    once, again = (learned(DemoImitation(partial(lake, tracker))) for _ in range(2))
    assert torch.equal(once, again)
    assert not torch.equal(alone, once)


class Stop(BaseCallback):
    """Ends a training with an error, and counts the hooks of the optimiser."""

    hooks = 0

    def _on_step(self):
        self.hooks = len(self.model.policy.optimizer._optimizer_step_pre_hooks)
        raise KeyboardInterrupt


def test_a_training_that_an_error_ended_leaves_no_second_gradient():
    tracker = tracker_of(DEMO, window=2)
    model, stop = model_of(PPO, partial(lake, tracker)), Stop()
    imitation = DemoImitation(partial(lake, tracker))
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            model.learn(64, callback=[imitation, stop])
        assert stop.hooks == 1


def test_returns_are_the_agents_own_and_normalised_as_its_are():
    tracker = tracker_of(DEMO, window=5)
    make = partial(lake, tracker)
    imitation = DemoImitation(make, actors=2)
    envs = VecNormalize(DummyVecEnv([make]), norm_obs=False, gamma=0.5)
    envs.ret_rms.var = np.array(4.0)
    imitation.init_callback(PPO("MlpPolicy", envs, n_steps=16, batch_size=16, gamma=0.5))
    imitation._on_rollout_start()
    (joined,) = imitation._stretches
    assert len(joined.actions) >= 32
    path = {0: 1, 4: 1, 8: 2, 9: 1, 13: 2, 14: 2}
    steps_to_go = {state: 6 - i for i, state in enumerate(path)}
    states = joined.observations.flatten().tolist()
    assert {*states} > {13, 14}
    assert joined.actions.tolist() == [path[state] for state in states]
    whole = len(states) - states[::-1].index(14)  # the last stretch is cut off
    wanted = [0.5 * 0.5 ** (steps_to_go[state] - 1) for state in states[:whole]]
    np.testing.assert_allclose(joined.returns[:whole], wanted, rtol=1e-4)
    if whole < len(states):
        after = torch.tensor([{0: 4, 4: 8, 8: 9, 9: 13, 13: 14}[states[-1]]])
        value = imitation.model.policy.predict_values(after).item()
        assert joined.returns[-1].item() == pytest.approx(0.5 * value, rel=1e-4)
    assert tracker.episodes == 0


def test_frames_of_which_the_demonstration_changed_its_mind_are_not_imitated():
    demo = shipped("montezuma-first-key")
    tracker = tracker_of(demo, window=32)
    curriculum = partial(
        DemoResetCurriculum,
        demo=demo,
        tracker=tracker,
        replay_steps=16,
        replay_multiple=4,
        # The agent's attempts end at the key; what is imitated goes to the demonstration's end.
        extra_steps=None,
    )

    def make():
        game = make_atari("montezuma_revenge", frame_wrapper=curriculum, clip_rewards=True)
        return SkipReplayedSteps(game)

    imitation = DemoImitation(make)
    space = imitation.env.observation_space
    empty = type("Empty", (gym.Env,), {"observation_space": space, "action_space": None})
    empty.action_space = imitation.env.action_space
    imitation.init_callback(PPO("CnnPolicy", DummyVecEnv([empty]), n_steps=16, batch_size=16))
    for start in (200, 202):
        tracker.draw = lambda _, point=start: (0, point)
        stretch, steps = imitation._replay(100)
        frames = [demo.actions[at : at + 4] for at in range(start, len(demo), 4)]
        assert len(frames) == len(stretch.actions) == steps
        uniform = [len(set(each.tolist())) == 1 for each in frames]
        assert stretch.imitated.tolist() == uniform
        assert all(uniform) == (start == 200)
        taken = [int(each[0]) for each, same in zip(frames, uniform, strict=True) if same]
        assert stretch.actions[stretch.imitated].tolist() == taken
    # The key is worth 1, clipped, two steps before the end.
    ratio = stretch.returns[0] / stretch.returns[-2]
    assert ratio.item() == pytest.approx(0.99 ** (steps - 2), rel=1e-4)


def test_bad_arguments():
    make = partial(lake, tracker_of(DEMO))
    with pytest.raises(InvalidArgumentError, match="no DemoResetCurriculum"):
        DemoImitation(lake_env)
    for arguments in ({"weight": -1}, {"batch_size": 0}, {"actors": 0}, {"value_weight": -0.1}):
        with pytest.raises(InvalidArgumentError, match=next(iter(arguments))):
            DemoImitation(make, **arguments)
