"""Settings for all tests."""

import torch
from hypothesis import settings

# Two test processes on two cores: more threads than that only get in each other's way.
torch.set_num_threads(1)

settings.register_profile("default", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("default")
