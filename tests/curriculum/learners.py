"""Learners whose progress is a formula, to try frontier rules on."""

import numpy as np

from hxwrappers.curriculum import FrontierSettings, StartingPoint
from hxwrappers.curriculum.success_table import SuccessTable, draw_start


class Learner:
    """Succeeds surely from where it has learned to, and learns a little further with each try."""

    def __init__(self, latest, speed, reach, ceiling=0.9, noise=0.0, hard=()):
        self.known, self.speed, self.reach = float(latest), speed, reach
        self.ceiling, self.noise, self.hard = ceiling, noise, hard

    def attempt(self, step, generator):
        ahead = max(0.0, self.known - step)
        success = generator.random() < self.ceiling * np.exp(-ahead / self.reach)
        if success and ahead > 0:
            slow = 0.1 if any(low <= step <= high for low, high in self.hard) else 1.0
            self.known -= slow * self.speed * ahead
        self.known += self.noise * generator.random()
        return success


def simulate(learner, latest, episodes, seed, **options):
    """The frontier after each episode, under the rule of `SuccessTable`."""
    generator = np.random.default_rng(seed)
    rules = FrontierSettings(**{"window": 64, **options})
    table = SuccessTable(np.zeros(SuccessTable.size([latest]), np.uint64), [latest], rules)
    table.start()
    frontiers = []
    for _ in range(episodes):
        frontier = int(table.frontiers[0])
        step = draw_start(frontier, latest, rules, generator)
        table.count(StartingPoint(0, step), success=learner.attempt(step, generator))
        frontiers.append(int(table.frontiers[0]))
    return np.array(frontiers)
