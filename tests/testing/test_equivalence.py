import pytest
from gymnasium.vector import AutoresetMode

from hxwrappers.errors import InvalidArgumentError, WrapperContractError
from hxwrappers.testing import check_vector_twin
from tests.testing import broken
from tests.toys import make_echo


def test_a_true_twin_passes():
    check_vector_twin(broken.StepBonus, broken.VectorStepBonus, make_echo)


@pytest.mark.parametrize(
    ("twin", "mode"),
    [
        (broken.PaysDummySteps, AutoresetMode.NEXT_STEP),
        *((broken.LosesExtrinsic, mode) for mode in AutoresetMode),
    ],
)
def test_a_false_twin_is_found(twin, mode):
    with pytest.raises(WrapperContractError, match=f"'vector_twin' is broken: .*{mode.name}"):
        check_vector_twin(broken.StepBonus, twin, make_echo, autoreset_modes=[mode])


def test_other_spaces_are_found():
    with pytest.raises(WrapperContractError, match="observation_space"):
        check_vector_twin(
            broken.StepBonus,
            lambda env: broken.VectorStepBonus(type(env)([make_echo] * 2)),
            make_echo,
        )


def test_refuses_to_pass_without_an_episode_end():
    with pytest.raises(InvalidArgumentError, match="No episode ended within 60 steps"):
        check_vector_twin(broken.StepBonus, broken.VectorStepBonus, lambda: make_echo(1000))
