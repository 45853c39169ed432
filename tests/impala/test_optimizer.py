"""RMSProp as TensorFlow has it, by numbers worked out by hand."""

import copy

import pytest
import torch

from hxwrappers.impala.optimizer import TensorFlowRMSprop

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


def test_gradients_may_be_computed_by_a_closure():
    weight, one = optimizer()

    def closure():
        one.zero_grad()
        (weight * torch.tensor([1.0, -2.0])).sum().backward()

    one.step(closure)
    torch.testing.assert_close(weight.detach(), -torch.tensor(STEPS[0]), atol=1e-6, rtol=0)


def test_saved_and_loaded_it_goes_on_the_same():
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
