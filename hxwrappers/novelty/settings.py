"""Settings of novelty models: their ranges, and those of the published code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from hxwrappers._utils.checks import require_count, require_range
from hxwrappers._utils.devices import check_precision


class NoveltySettings(TypedDict, total=False):
    """Settings that RND and CND share; each model's page of the API names its defaults.

    Attributes:
        net: `"rnd"`, `"A"`, `"B"`, or `"compact"` for CPUs, for frames of 42x42.
        features: Size of the distilled features. None is 512 for images, as published, and 128 for
            vectors, whose networks would take more time than most policies otherwise.
        hidden: Width of the hidden layers where observations are vectors.
        learning_rate: Adam's learning rate for the predictor.
        update_every: Steps of each environment between two trainings. None trains at the end of
            each rollout of a trainer that says where rollouts end (`DualValuePPO`, the callback
            `RolloutTraining`, or `begin_rollout` and `end_rollout`), else every 128 steps.
        epochs: Passes over the collected frames at each training.
        minibatches: Minibatches in a pass.
        batch_size: Frames in a minibatch, 2 or more, in place of `minibatches`; or None.
        train_fraction: Share of each minibatch that the predictor is trained on, in (0, 1]. None
            is `min(1, 32 / environments)`, with the environments that the frames came from.
        warmup_steps: First steps of each environment, which earn no bonus and only set the
            observation moments and the first reward scale.
        normalize_observations: Whether inputs are standardised by running moments; otherwise
            they are scaled to [0, 1] where the space is bounded.
        observation_clip: Bound of the standardised inputs.
        deviation_floor: Smallest deviation that inputs are divided by, in units of the
            observation; elements that hardly ever change then count for little.
        normalize_reward: Whether bonuses are divided by the deviation of their discounted sum.
        reward_discount: Discount of that sum.
        bonus_clip: Upper bound of the bonus, or None.
        channel_axis: See `ObservationLayout.of`.
        newest_channels: See `ObservationLayout.of`.
        halvings: How often the sides of images are halved before anything else.
        precision: `"float32"`; `"bfloat16"` for the products inside the networks, which is about
            twice as fast on GPUs and on some CPUs; or `"auto"`, which times both on a CPU and takes
            the faster one that agrees. Weights, moments and losses stay float32.
        device: `"auto"`, `"cpu"`, `"cuda"`, ...
        seed: Seed of weights and sampling; None lets the first `reset(seed=)` of a wrapper
            choose it.
    """

    net: str
    features: int | None
    hidden: int
    learning_rate: float
    update_every: int | None
    epochs: int
    minibatches: int
    batch_size: int | None
    train_fraction: float | None
    warmup_steps: int
    normalize_observations: bool
    observation_clip: float
    deviation_floor: float
    normalize_reward: bool
    reward_discount: float
    bonus_clip: float | None
    channel_axis: int | None
    newest_channels: int | None
    halvings: int
    precision: str
    device: str
    seed: int | None


class CNDSettings(NoveltySettings, total=False):
    """Further settings of CND.

    Attributes:
        contrastive_loss: `"mse"`, `"nce"`, `"vicreg"` or `"st_dim"`.
        pairs: Pairs of observations in each contrastive step; a minibatch of a single observation
            has none, and trains the predictor alone.
        target_learning_rate: Adam's learning rate for the target.
        distil_mask: `"sample"` trains the predictor on `train_fraction` of the samples of a
            minibatch; `"feature"` on that share of the feature elements of all samples, as the
            reference code does, which costs as much as training on all.
        noise: Amplitude of the uniform noise on half of the normalised inputs of the target's
            training.
        feature_guard: Limit of the guard against exploding features, or None. Without a word of
            yours 200 for "mse", and None for the others, as published.
        scored: `"next"` gives a step the bonus of the observation that it led to, as RND does;
            `"current"` that of the observation before it, as CND's code does.
    """

    contrastive_loss: str
    pairs: int
    target_learning_rate: float
    distil_mask: str
    noise: float
    feature_guard: float | None
    scored: str


PUBLISHED_RND: NoveltySettings = {"warmup_steps": 128 * 50}
"""RND on Atari (github.com/openai/random-network-distillation). Everything else is the default; the
warm-up is made by a random agent, before the one that is trained: call `warm_up` of the wrapper."""

PUBLISHED_CND: CNDSettings = {
    "net": "B",
    "distil_mask": "feature",
    "warmup_steps": 256,
    "scored": "current",
    "deviation_floor": 255 * 0.001**0.5,  # its frames go from 0 to 1, and variances from 0.001
}
"""CND on Montezuma's Revenge, the configuration 21 of its best run
(github.com/michalnand/reinforcement_learning), with the warm-up by a random agent as well."""

PUBLISHED_CND_PROCGEN: CNDSettings = {
    "net": "B",
    "train_fraction": 1.0,
    "normalize_observations": False,
    "warmup_steps": 0,
    "scored": "current",
}
"""CND on the hard levels of Procgen."""


def check_settings(settings: Mapping[str, Any]) -> None:
    """Refuse settings outside their ranges.

    Raises:
        InvalidArgumentError: Names the setting, its value and its range.
    """
    for name in ("hidden", "epochs", "minibatches"):
        require_count(name, settings[name], 1)
    for name, smallest in (("features", 1), ("update_every", 1), ("batch_size", 2)):
        if settings[name] is not None:
            require_count(name, settings[name], smallest)
    for name in ("learning_rate", "observation_clip"):
        require_range(name, settings[name], above=0.0)
    if settings["train_fraction"] is not None:
        require_range("train_fraction", settings["train_fraction"], above=0.0, maximum=1.0)
    for name in ("warmup_steps", "halvings"):
        require_count(name, settings[name])
    require_range("deviation_floor", settings["deviation_floor"], minimum=0)
    require_range("reward_discount", settings["reward_discount"], minimum=0, maximum=1)
    check_precision(settings["precision"])
    if settings["bonus_clip"] is not None:
        require_range("bonus_clip", settings["bonus_clip"], above=0.0)
