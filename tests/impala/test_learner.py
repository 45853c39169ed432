"""One step of learning: what counts, what is masked, and what the settings do."""

import math

import numpy as np
import pytest
import torch
from gymnasium import spaces

from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.impala import Impala
from hxwrappers.impala.actions import NumberedActions
from hxwrappers.impala.correction import vtrace
from hxwrappers.impala.layout import EnvSpec, Layout
from hxwrappers.impala.learner import Learner, clip_rewards
from hxwrappers.impala.net import ImpalaNet
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.unrolls import BatchBuffer, Replay, Unroll, UnrollShape
from tests.impala.runs import make_corridors

LAYOUT = Layout.of(spaces.Box(-1, 1, (4,), np.float32))
LENGTH = 5
ACTIONS = NumberedActions(3)


def settings(**options) -> ImpalaSettings:
    defaults = {"envs_per_actor": 2, "batch_size": 4, "unroll_length": LENGTH}
    return ImpalaSettings(**(defaults | options))


def learner(**options) -> Learner:
    torch.manual_seed(0)
    chosen = settings(**options)
    return Learner(ImpalaNet.of(EnvSpec(LAYOUT, ACTIONS, 2), chosen, "float32"), chosen)


def unroll(seed=0, num_envs=2, lstm=0) -> Unroll:
    rng = np.random.default_rng(seed)
    made = UnrollShape(LAYOUT, LENGTH, num_envs, lstm, ACTIONS).allocate()
    made.observations["observation"][...] = rng.normal(size=(LENGTH + 1, num_envs, 4))
    made.actions[...] = rng.integers(0, 3, (LENGTH, num_envs))
    made.log_mus[...] = math.log(1 / 3)
    made.rewards[...] = rng.normal(size=(LENGTH, num_envs))
    made.valid[...] = True
    return made


def batch_of(*parts: Unroll, lstm=0):
    count = sum(part.actions.shape[1] for part in parts)
    buffer = BatchBuffer(UnrollShape(LAYOUT, LENGTH, count, lstm, ACTIONS), torch.device("cpu"))
    for part in parts:
        assert not buffer.is_full
        buffer.add(part)
    assert buffer.is_full
    return buffer.take()


def weights(one: Learner) -> np.ndarray:
    return torch.nn.utils.parameters_to_vector(one.net.parameters()).detach().numpy().copy()


def test_a_batch_holds_unrolls_side_by_side():
    one, other = unroll(1), unroll(2)
    batch = batch_of(one, other)
    for number, part in enumerate((one, other)):
        columns = slice(2 * number, 2 * number + 2)
        np.testing.assert_array_equal(batch.rewards[:, columns], part.rewards)
        np.testing.assert_array_equal(
            batch.observations["observation"][:, columns], part.observations["observation"]
        )


def test_replayed_are_the_newest_batches_as_they_were():
    replay, seen = Replay(2, seed=0), []
    for number in range(4):
        batch = batch_of(unroll(number))
        replay.add(batch)
        seen.append(batch.rewards.clone())
        for part in (batch.rewards, batch.observations["observation"]):
            part.zero_()  # as the next batch overwrites it
    drawn = [replay.draw() for _ in range(40)]
    assert all(float(batch.observations["observation"].abs().max()) > 0 for batch in drawn)
    found = {
        number for batch in drawn for number in range(4) if torch.equal(batch.rewards, seen[number])
    }
    assert found == {2, 3}


def test_a_run_with_replay_makes_as_many_more_updates():
    options = {"num_actors": 1, "envs_per_actor": 2, "batch_size": 2, "learner_threads": 1}
    counts = []
    for replay in (0, 3):
        settings = ImpalaSettings(net="mlp", replay=replay, replay_size=4, **options)
        run = Impala(make_corridors, settings)
        run.train(400, progress=False)
        counts.append(run.updates)
    assert counts[1] == 4 * counts[0]


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
@pytest.mark.parametrize("lstm", [0, 8])
def test_losses_fall_on_one_batch(optimizer, lstm):
    one = learner(optimizer=optimizer, lstm=lstm, learning_rate=3e-3)
    parts = [unroll(1, lstm=lstm), unroll(2, lstm=lstm)]
    for part in parts:
        part.rewards[...] = 3
        part.terminated[...] = True
    batch = batch_of(*parts, lstm=lstm)
    losses = [one.learn(batch, 0.0)["value_loss"] for _ in range(60)]
    assert losses[-1] < losses[0] / 2


def test_an_action_that_paid_becomes_more_probable():
    one = learner(learning_rate=1e-2, optimizer="adam", entropy_coef=0.0)
    part = unroll()
    part.actions[...] = np.arange(LENGTH)[:, None] % 3
    part.rewards[...] = part.actions == 1
    part.terminated[...] = True
    part.starts[1:] = True
    for _ in range(50):
        figures = one.learn(batch_of(part), 0.0)
    looked = one.net(
        {"observation": torch.from_numpy(part.observations["observation"])},
        torch.from_numpy(part.starts),
        one.net.initial_state(2),
    )
    probabilities = looked.logits.softmax(-1)[:-1]
    assert (probabilities[..., 1][part.actions == 1] > 0.7).all()
    assert figures["entropy"] < math.log(3)


def test_invalid_rows_teach_nothing():
    part, other = unroll(), unroll()
    for one in (part, other):
        one.truncated[1] = True
        one.valid[2] = False
        one.starts[3] = True
    other.rewards[2] = 99
    other.actions[2] = (part.actions[2] + 1) % 3
    other.log_mus[2] = -5
    first, second = learner(), learner()
    assert first.learn(batch_of(part), 0.0) == second.learn(batch_of(other), 0.0)
    np.testing.assert_array_equal(weights(first), weights(second))


def test_the_losses_and_their_weights_by_hand():
    part = unroll()
    part.truncated[1, 0], part.valid[2, 0], part.starts[3, 0] = True, False, True
    batch = batch_of(part)
    one = learner(value_coef=0.3, entropy_coef=0.2, gamma=0.9)
    logits, values, _ = one.net(batch.observations, batch.starts, batch.state)
    log_pis = logits[:-1].log_softmax(-1)
    taken = log_pis.gather(-1, batch.actions[..., None])[..., 0]
    wanted = vtrace(
        taken.detach() - batch.log_mus,
        batch.rewards,
        values.detach(),
        batch.terminated,
        batch.truncated,
        values.detach()[1:],
        batch.valid,
        gamma=0.9,
    )
    policy = -(taken * wanted.advantages).sum()
    value = ((wanted.targets - values[:-1])[batch.valid] ** 2).sum() / 2
    entropy = -(log_pis.exp() * log_pis).sum(-1)[batch.valid].sum()
    (policy + 0.3 * value - 0.2 * entropy).backward()
    norm = torch.nn.utils.get_total_norm([weight.grad for weight in one.net.parameters()])
    rows = 2 * LENGTH - 1
    figures = one.learn(batch, 0.0)
    assert figures["grad_norm"] == pytest.approx(float(norm), rel=1e-5)
    for name, loss in (("policy_loss", policy), ("value_loss", value), ("entropy", entropy)):
        assert figures[name] == pytest.approx(float(loss.detach()) / rows, rel=1e-5)


def test_a_batch_of_invalid_rows_alone():
    part = unroll()
    part.valid[...] = False
    figures = learner().learn(batch_of(part), 0.0)
    assert (figures["policy_loss"], figures["value_loss"], figures["entropy"]) == (0, 0, 0)


def test_a_final_value_counts_only_where_the_next_row_is_another_episode():
    parts = [unroll() for _ in range(4)]
    for part in parts:
        part.truncated[1] = True
    parts[1].final_values[1] = 50  # the next row holds the final observation itself: not read
    for part in parts[2:]:
        part.starts[2] = True
    parts[3].final_values[1] = 50
    losses = [learner().learn(batch_of(part), 0.0)["value_loss"] for part in parts]
    assert losses[0] == losses[1]
    assert losses[2] < losses[3]


def test_the_learning_rate_falls_to_zero():
    one = learner()
    before = weights(one)
    assert one.learn(batch_of(unroll()), 0.5)["learning_rate"] == pytest.approx(3e-4)
    assert not np.array_equal(before, weights(one))
    before = weights(one)
    assert one.learn(batch_of(unroll()), 1.0)["learning_rate"] == 0
    np.testing.assert_array_equal(before, weights(one))
    constant = learner(learning_rate_schedule="constant")
    assert constant.learn(batch_of(unroll()), 1.0)["learning_rate"] == pytest.approx(6e-4)


def test_a_reward_that_is_no_number_does_not_ruin_the_net():
    one = learner()
    before = weights(one)
    part = unroll()
    part.rewards[0, 0] = np.nan
    assert one.learn(batch_of(part), 0.0)["skipped_updates"] == 1
    np.testing.assert_array_equal(before, weights(one))
    assert one.learn(batch_of(unroll()), 0.0)["skipped_updates"] == 0


def test_rewards_are_clipped():
    rewards = torch.tensor([-7.0, 0.25, 7.0])
    assert clip_rewards(rewards, "none") is rewards
    assert clip_rewards(rewards, "abs_one").tolist() == [-1, 0.25, 1]
    soft = [0.3 * 5 * math.tanh(-1.4), 5 * math.tanh(0.05), 5 * math.tanh(1.4)]
    assert clip_rewards(rewards, "soft_asymmetric").tolist() == pytest.approx(soft)


def test_saved_and_loaded_it_goes_on_the_same():
    batch = batch_of(unroll(1), unroll(2))
    straight, first, second = learner(), learner(), learner()
    for _ in range(4):
        straight.learn(batch, 0.0)
    for _ in range(2):
        first.learn(batch, 0.0)
    second.load_state_dict(first.state_dict())
    for _ in range(2):
        second.learn(batch, 0.0)
    np.testing.assert_array_equal(weights(straight), weights(second))


def test_the_checkpoint_of_another_net_changes_nothing():
    one = learner()
    before = weights(one)
    with pytest.raises(CheckpointError, match="another net"):
        one.load_state_dict(learner(lstm=8).state_dict())
    np.testing.assert_array_equal(before, weights(one))
    with pytest.raises(CheckpointError, match="optimizer"):
        one.load_state_dict(learner().state_dict() | {"optimizer": {}})


CHANGES = [
    ({"epsilon": 1e-3}, {"epsilon": 0.5}),
    ({"rmsprop_decay": 0.9}, {"rmsprop_decay": 0.5}),
    ({"rmsprop_momentum": 0.9}, {}),
    ({}, {"rmsprop_momentum": 0.9}),
    ({"optimizer": "adam"}, {"optimizer": "adam", "epsilon": 0.5}),
]


@pytest.mark.parametrize(("before", "after"), CHANGES)
def test_it_goes_on_with_the_settings_given_now(before, after):
    batch = batch_of(unroll(1), unroll(2))
    first, second, unchanged = learner(**before), learner(**after), learner(**before)
    first.learn(batch, 0.0)
    for one in (second, unchanged):
        one.load_state_dict(first.state_dict())
        for _ in range(2):  # a momentum shows in the second step
            one.learn(batch, 0.0)
    assert not np.array_equal(weights(second), weights(unchanged))
    group = second.state_dict()["optimizer"]["param_groups"][0]
    fresh = learner(**after).state_dict()["optimizer"]["param_groups"][0]
    assert {**group, "lr": None} == {**fresh, "lr": None}


@pytest.mark.parametrize(("saved", "given"), [("adam", "rmsprop"), ("rmsprop", "adam")])
def test_the_checkpoint_of_another_optimizer_is_refused(saved, given):
    first = learner(optimizer=saved)
    first.learn(batch_of(unroll()), 0.0)
    message = f"it is {saved}, not {given}.*Resume with the same optimizer"
    with pytest.raises(CheckpointError, match=message):
        learner(optimizer=given).load_state_dict(first.state_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_actors": 0}, "num_actors is 0"),
        ({"replay": -1}, "replay is -1"),
        ({"replay_size": 0}, "replay_size is 0"),
        ({"gamma": 1.1}, "gamma"),
        ({"batch_size": 5}, "multiple of envs_per_actor"),
        ({"c_bar": 2.0}, "rho_bar is 1.0"),
        ({"optimizer": "sgd"}, "rmsprop, adam"),
        ({"learning_rate": 0.0}, "more than 0"),
        ({"learning_rate": math.nan}, "learning_rate"),
        ({"value_coef": -1.0}, "0 or more"),
        ({"precision": "half"}, "bfloat16"),
        ({"features": 0}, "or None"),
    ],
)
def test_settings_out_of_range(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        settings(**options)


def test_settings_are_saved_as_plain_values():
    chosen = settings(lstm=7)
    assert ImpalaSettings.from_state(chosen.state_dict()) == chosen
    with pytest.raises(CheckpointError, match="do not make sense"):
        ImpalaSettings.from_state({"unknown": 1})
