"""What the tests of the curriculum begin with."""

from hxwrappers.curriculum import FrontierSettings, LocalStore, SuccessTracker


def tracker_of(demo, **frontier):
    return SuccessTracker(demo, FrontierSettings(**frontier), LocalStore())


def from_step(env, step):
    return env.reset(options={"starting_point": step})
