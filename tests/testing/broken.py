"""Wrappers that each break one promise, and a bonus wrapper that keeps them all."""

import multiprocessing
import random
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from gymnasium.utils import RecordConstructorArgs
from gymnasium.vector import AutoresetMode, VectorWrapper


class Base(gym.Wrapper, RecordConstructorArgs):
    def __init__(self, env):
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)


class CountBonus(Base):
    """Pays 1 / (steps so far), over all episodes, and counts on unless training is off."""

    def __init__(self, env):
        super().__init__(env)
        self.count = 0
        self.training = True

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.count += self.training
        bonus = 1 / (self.count + 1)
        info = {
            **info,
            "extrinsic_reward": reward,
            "intrinsic_reward": bonus,
            "reward_bonus": 0.5 * bonus,
        }
        return observation, reward + 0.5 * bonus, terminated, truncated, info

    def state_dict(self):
        return {"count": self.count}

    def load_state_dict(self, state):
        self.count = state["count"]


class CannotReset(Base):
    def reset(self, *, seed=None):
        return self.env.reset(seed=seed)


class ObservesOutside(Base):
    def step(self, action):
        observation, *rest = self.env.step(action)
        return (observation + 10_000, *rest)


class NaNReward(Base):
    def step(self, action):
        observation, _, *rest = self.env.step(action)
        return (observation, float("nan"), *rest)


class IntEnds(Base):
    def step(self, action):
        observation, reward, terminated, *rest = self.env.step(action)
        return (observation, reward, int(terminated), *rest)


class ReusesObservations(Base):
    def __init__(self, env):
        super().__init__(env)
        self.buffer = np.zeros(env.observation_space.shape)

    def reset(self, **kwargs):
        observation, info = self.env.reset(**kwargs)
        self.buffer[:] = observation
        return self.buffer, info

    def step(self, action):
        observation, *rest = self.env.step(action)
        self.buffer[:] = observation
        return (self.buffer, *rest)


class ReusesInfos(Base):
    def __init__(self, env):
        super().__init__(env)
        self.info: dict[str, Any] = {}

    def step(self, action):
        *rest, _ = self.env.step(action)
        return (*rest, self.info)


class Unseeded(Base):
    def __init__(self, env):
        super().__init__(env)
        self.rng = np.random.default_rng()

    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        return (observation, reward + self.rng.random(), *rest)


class DrawsFrom(Base):
    source: Any = None

    def step(self, action):
        type(self).source()
        return self.env.step(action)


class DrawsFromPython(DrawsFrom):
    source = staticmethod(random.random)


class DrawsFromNumPy(DrawsFrom):
    source = staticmethod(np.random.rand)


class DrawsFromTorch(DrawsFrom):
    source = staticmethod(lambda: torch.rand(1))


class DrawsFromEnv(Base):
    def reset(self, **kwargs):
        result = self.env.reset(**kwargs)
        self.np_random.random()
        return result


class TouchesEnv(Base):
    """Ends episodes of the environment below early."""

    def step(self, action):
        self.unwrapped.steps += 1
        return self.env.step(action)


class SwapsActions(Base):
    def step(self, action):
        return self.env.step(5 - action)


class WrongExtrinsic(CountBonus):
    def step(self, action):
        *rest, info = super().step(action)
        return (*rest, {**info, "extrinsic_reward": info["extrinsic_reward"] + 1})


class WrongSum(CountBonus):
    def step(self, action):
        observation, reward, *rest = super().step(action)
        return (observation, reward + 1, *rest)


class InfiniteIntrinsic(CountBonus):
    def step(self, action):
        *rest, info = super().step(action)
        return (*rest, {**info, "intrinsic_reward": float("inf")})


class RecordsNothing(gym.Wrapper):
    pass


class ForgetsAnArgument(gym.Wrapper, RecordConstructorArgs):
    def __init__(self, env, scale=2.0):
        RecordConstructorArgs.__init__(self)
        gym.Wrapper.__init__(self, env)
        self.scale = scale

    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        return (observation, reward * self.scale, *rest)


class ForgetsItsCount(CountBonus):
    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


class SavesAnObject(CountBonus):
    def state_dict(self):
        return {"count": self.count, "rng": random.Random(0)}


class CannotLoad(CountBonus):
    def load_state_dict(self, state):
        raise KeyError("nothing fits")


class OnlyHere(Base):
    """Behaves otherwise in a worker process."""

    def step(self, action):
        observation, reward, *rest = self.env.step(action)
        return (observation, reward + (multiprocessing.parent_process() is not None), *rest)


class StepBonus(Base):
    """Pays 1 a step."""

    def step(self, action):
        observation, reward, terminated, truncated, info = self.env.step(action)
        info = {**info, "extrinsic_reward": reward, "intrinsic_reward": 1.0, "reward_bonus": 1.0}
        return observation, reward + 1.0, terminated, truncated, info


class VectorStepBonus(VectorWrapper):
    """Pays 1 a step, nothing for the step that only resets; keeps the promise of a twin."""

    pays_dummy_steps = False

    def __init__(self, env):
        super().__init__(env)
        self.resets_next = np.zeros(env.num_envs, dtype=bool)

    def reset(self, *, seed=None, options=None):
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, dtype=bool))
        self.resets_next = self.resets_next & ~mask
        return self.env.reset(seed=seed, options=options)

    def step(self, actions):
        observations, rewards, terminations, truncations, infos = self.env.step(actions)
        paid = (~self.resets_next | self.pays_dummy_steps).astype(float)
        if self.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP:
            self.resets_next = terminations | truncations
        infos = {
            **infos,
            "extrinsic_reward": rewards,
            "intrinsic_reward": paid,
            "reward_bonus": paid,
        }
        return observations, rewards + paid, terminations, truncations, infos


class PaysDummySteps(VectorStepBonus):
    pays_dummy_steps = True


class LosesExtrinsic(VectorStepBonus):
    def step(self, actions):
        *rest, infos = super().step(actions)
        return (*rest, {**infos, "extrinsic_reward": rest[1]})


class ClosesOnce(Base):
    closed = False

    def close(self):
        if self.closed:
            raise RuntimeError("closed already")
        self.closed = True
        super().close()


class ObservesFloat32(Base):
    def reset(self, **kwargs):
        observation, info = super().reset(**kwargs)
        return observation.astype(np.float32), info
