"""Learning: V-trace and RMSProp by numbers worked out by hand, masks, settings."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import given
from hypothesis import strategies as st

from hxwrappers.errors import CheckpointError, InvalidArgumentError
from hxwrappers.impala import Impala
from hxwrappers.impala.actions import NumberedActions
from hxwrappers.impala.layout import EnvSpec, Layout
from hxwrappers.impala.learner import Learner, TensorFlowRMSprop, clip_rewards, vtrace
from hxwrappers.impala.net import ImpalaNet
from hxwrappers.impala.settings import ImpalaSettings
from hxwrappers.impala.unrolls import BatchBuffer, Replay, Unroll, UnrollShape
from tests.impala.runs import make_corridors

NO = [False, False, False]


def column(values, dtype=torch.float64) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype).unsqueeze(1)


def work(ratios, rewards, values, *, terminated=NO, truncated=NO, final=(0, 0, 0), **options):
    valid = options.pop("valid", None)
    result = vtrace(
        column(ratios).log(),
        column(rewards),
        column(values),
        column(terminated, torch.bool),
        column(truncated, torch.bool),
        column(final),
        None if valid is None else column(valid, torch.bool),
        **options,
    )
    return result.targets.flatten().tolist(), result.advantages.flatten().tolist()


def test_on_policy_it_is_the_n_step_return():
    # 1 + 2/2 + 3/4 + 8/8 = 3.75; 2 + 3/2 + 8/4 = 5.5; 3 + 8/2 = 7
    targets, advantages = work([1, 1, 1], [1, 2, 3], [10, 20, 30, 8], gamma=0.5)
    assert targets == [3.75, 5.5, 7]
    assert advantages == [3.75 - 10, 5.5 - 20, 7 - 30]


def test_ratios_are_cut_at_their_bars():
    # deltas 1 + 1 - 1 = 1 everywhere (gamma 1, all values 1, all rewards 1).
    # rho = min(3, [4, 2, 1/2]) = [3, 2, 1/2]; c = min(1, ...) = [1, 1, 1/2]
    # corrections: [2] 1/2; [1] 2 + 1/2; [0] 3 + 2.5
    targets, advantages = work(
        [4, 2, 0.5], [1, 1, 1], [1, 1, 1, 1], gamma=1.0, rho_bar=3.0, c_bar=1.0, pg_rho_bar=1.5
    )
    assert targets == pytest.approx([6.5, 3.5, 1.5])
    # min(1.5, ratio) * (1 + next target - 1)
    assert advantages == pytest.approx([1.5 * 3.5, 1.5 * 1.5, 0.5 * 1])


def test_lambda_shortens_the_trace():
    # one-step corrections 1, the trace half as strong: 1, 1.5, 1.75
    targets, _ = work([1, 1, 1], [1, 1, 1], [1, 1, 1, 1], gamma=1.0, lambda_=0.5)
    assert targets == [2.75, 2.5, 2]


def test_a_termination_has_no_future():
    targets, advantages = work(
        [1, 1, 1], [1, 2, 3], [10, 20, 30, 8], terminated=[False, True, False], gamma=0.5
    )
    assert targets == [2, 2, 7]
    assert advantages == [2 - 10, 2 - 20, 7 - 30]


def test_a_truncation_has_the_value_of_its_final_observation():
    # row 1: 2 + 100/2 = 52; row 0: 1 + 52/2 = 27
    targets, advantages = work(
        [1, 1, 1],
        [1, 2, 3],
        [10, 20, 30, 8],
        truncated=[False, True, False],
        final=[0, 100, 0],
        gamma=0.5,
    )
    assert targets == [27, 52, 7]
    assert advantages == [17, 32, -23]


def test_both_ends_at_once_are_a_termination():
    ends = [False, True, False]
    targets, _ = work(
        [1, 1, 1],
        [1, 2, 3],
        [9, 9, 9, 8],
        terminated=ends,
        truncated=ends,
        final=[7] * 3,
        gamma=0.5,
    )
    assert targets == [2, 2, 7]


def test_a_row_that_autoreset_invented_teaches_nothing():
    # Row 1 is where NEXT_STEP resets: row 0 was truncated, its final observation has value 20.
    targets, advantages = work(
        [1, 7, 1],
        [1, 0, 3],
        [10, 20, 30, 8],
        truncated=[True, False, False],
        final=[20, 0, 0],
        valid=[True, False, True],
        gamma=0.5,
    )
    assert targets == [11, 20, 7]
    assert advantages == [1, 0, -23]


def test_bad_arguments():
    with pytest.raises(InvalidArgumentError, match="one more row"):
        work([1, 1, 1], [1, 1, 1], [1, 1, 1], gamma=0.5)
    with pytest.raises(InvalidArgumentError, match="same"):
        work([1, 1, 1], [1, 1], [1, 1, 1, 1], gamma=0.5)
    with pytest.raises(InvalidArgumentError, match="gamma"):
        work([1, 1, 1], [1, 1, 1], [1, 1, 1, 1], gamma=1.5)
    with pytest.raises(InvalidArgumentError, match="c_bar"):
        work([1, 1, 1], [1, 1, 1], [1, 1, 1, 1], gamma=0.5, c_bar=2.0)


def by_definition(log_rhos, rewards, values, terminated, truncated, final, valid, p):
    """The sums of the paper, in float64, one term after the other: O(T^2)."""
    steps = len(rewards)
    ratios = np.exp(log_rhos)
    over = terminated | truncated

    def after(t, following):
        if terminated[t]:
            return 0.0
        return final[t] if truncated[t] else following[t + 1]

    targets = np.array(values, dtype=np.float64)
    for t in range(steps):
        product = 1.0
        for k in range(t, steps):
            delta = min(p["rho_bar"], ratios[k]) * (
                rewards[k] + p["gamma"] * after(k, values) - values[k]
            )
            targets[t] += p["gamma"] ** (k - t) * product * delta * valid[k]
            if over[k] or not valid[k]:
                break
            product *= p["lambda_"] * min(p["c_bar"], ratios[k])
    advantages = [
        valid[t]
        * min(p["pg_rho_bar"], ratios[t])
        * (rewards[t] + p["gamma"] * after(t, targets) - values[t])
        for t in range(steps)
    ]
    return targets[:-1], np.array(advantages)


@given(
    steps=st.integers(1, 12),
    seed=st.integers(0, 2**32 - 1),
    gamma=st.floats(0, 1),
    lambda_=st.floats(0, 1),
    c_bar=st.floats(0, 2),
    above=st.sampled_from([0.0, 0.5, math.inf]),
    pg_rho_bar=st.floats(0, 3),
    invents=st.booleans(),
)
def test_it_is_the_definition(steps, seed, gamma, lambda_, c_bar, above, pg_rho_bar, invents):
    rng = np.random.default_rng(seed)
    p = {"gamma": gamma, "lambda_": lambda_, "c_bar": c_bar, "pg_rho_bar": pg_rho_bar}
    p["rho_bar"] = c_bar + above
    shape = (steps, 3)
    log_rhos, rewards, final = (rng.normal(size=shape) for _ in range(3))
    values = rng.normal(size=(steps + 1, 3))
    ends = rng.random(shape) < 0.3
    valid = np.ones(shape, dtype=bool)
    if invents:
        for t in range(1, steps):
            valid[t] = ~(ends[t - 1] & valid[t - 1])
    terminated = ends & valid & (rng.random(shape) < 0.5)
    truncated = ends & valid & ~terminated
    arrays = (log_rhos, rewards, values, terminated, truncated, final, valid)
    for dtype, tolerance in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        tensors = [torch.from_numpy(array) for array in arrays]
        tensors = [t if t.dtype == torch.bool else t.to(dtype) for t in tensors]
        result = vtrace(*tensors, **p)
        for lane in range(3):
            expected = by_definition(*(array[:, lane] for array in arrays), p)
            for got, wanted in zip(result, expected, strict=True):
                np.testing.assert_allclose(got[:, lane].numpy(), wanted, tolerance, tolerance)


# decay 0.75, epsilon 0.5, rate 0.1; two weights with these gradients in two steps.
GRADIENTS = [(1.0, -2.0), (0.5, 0.0)]
# Mean squares: from 1, 0.75 * 1 + 0.25 * 1 = 1 and 0.75 + 0.25 * 4 = 1.75;
# then 0.75 * 1 + 0.25 * 0.25 = 0.8125 and 0.75 * 1.75 = 1.3125.
SQUARES = [(1.0, 1.75), (0.8125, 1.3125)]
# Steps: 0.1 * 1 / sqrt(1.5) = 0.0816497 and 0.1 * -2 / sqrt(2.25) = -0.1333333;
# then 0.1 * 0.5 / sqrt(1.3125) = 0.0436436 and 0.
STEPS = [(0.0816497, -0.1333333), (0.0436436, 0.0)]


def optimizer(**options):
    weight = torch.nn.Parameter(torch.zeros(2))
    unused = torch.nn.Parameter(torch.zeros(3))
    return weight, TensorFlowRMSprop([weight, unused], 0.1, decay=0.75, epsilon=0.5, **options)


@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_by_hand(momentum):
    weight, one = optimizer(momentum=momentum)
    wanted, moment = torch.zeros(2), torch.zeros(2)
    for gradient, squares, step in zip(GRADIENTS, SQUARES, STEPS, strict=True):
        weight.grad = torch.tensor(gradient)
        one.step()
        moment = momentum * moment + torch.tensor(step)
        wanted = wanted - moment
        torch.testing.assert_close(one.state[weight]["square_avg"], torch.tensor(squares))
        torch.testing.assert_close(weight.detach(), wanted, atol=1e-6, rtol=0)


def test_torchs_own_begins_with_larger_steps():
    weight = torch.nn.Parameter(torch.zeros(2))
    other = torch.nn.Parameter(torch.zeros(2))
    torchs = torch.optim.RMSprop([other], 0.1, alpha=0.99, eps=0.01)
    ours = TensorFlowRMSprop([weight], 0.1)
    weight.grad = other.grad = torch.tensor([0.1, 1.0])
    ours.step()
    torchs.step()
    assert (other.abs() > 5 * weight.abs()).all()


def test_a_saved_optimizer_goes_on_the_same():
    (first, one), (second, other) = optimizer(momentum=0.5), optimizer(momentum=0.5)
    first.grad = torch.tensor(GRADIENTS[0])
    one.step()
    with torch.no_grad():
        second.copy_(first)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    for weight, optimizer_ in ((first, one), (second, other)):
        weight.grad = torch.tensor(GRADIENTS[1])
        optimizer_.step()
    assert torch.equal(first, second)


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


FLOATS = [name for name, value in vars(settings(epsilon=0.1)).items() if type(value) is float]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_actors": 0}, "num_actors is 0"),
        ({"replay": -1}, "replay is -1"),
        ({"batch_size": 16.0}, "batch_size is 16.0"),
        ({"lstm": 8.0}, "lstm is 8.0"),
        ({"replay_size": 0}, "replay_size is 0"),
        ({"gamma": 1.1}, "gamma"),
        ({"batch_size": 5}, "multiple of envs_per_actor"),
        ({"c_bar": 2.0}, "rho_bar is 1.0"),
        ({"optimizer": "sgd"}, "rmsprop, adam"),
        ({"learning_rate": 0.0}, "above 0"),
        *(({name: math.nan}, name) for name in FLOATS),
        ({"value_coef": -1.0}, "at least 0"),
        ({"precision": "half"}, "bfloat16"),
        ({"features": 0}, "features is 0"),
    ],
)
def test_settings_out_of_range(options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        settings(**options)


def test_settings_are_saved_as_plain_values():
    chosen = settings(lstm=7)
    assert ImpalaSettings.from_state(dataclasses.asdict(chosen)) == chosen
    with pytest.raises(CheckpointError, match="do not make sense"):
        ImpalaSettings.from_state({"unknown": 1})
