"""The smallest things that can be trained: a regression with dropout, its rule, and a loader that keeps its place."""

import torch
from torch import nn

from neurotorch.learning.base import BatchReport, LearningRule


def data(samples=12):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(samples, 4, generator=generator)
    return x, x @ torch.randn(4, 1, generator=generator)


def batches(size=3):
    return [(x, y) for x, y in zip(*(part.split(size) for part in data()), strict=True)]


class Regression(LearningRule):
    """Least squares with Adam: dropout draws from torch's own generator, the penalty's noise from the rule's."""

    def __init__(self, *, lr=0.05):
        torch.manual_seed(1)
        self.network = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.2), nn.Linear(8, 1))
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=lr)
        self.generator = torch.Generator().manual_seed(2)

    def compute(self, batch):
        x, y = batch
        self.optimizer.zero_grad()
        error = (self.network(x) - y).square().mean()
        noise = torch.rand((), generator=self.generator)
        penalty = 1e-3 * noise * self.network[0].weight.square().mean()
        (error + penalty).backward()
        return BatchReport((error + penalty).item(), len(x), {"penalty": penalty.item()})

    def apply(self):
        self.optimizer.step()

    def state_dict(self):
        return {"optimizer": self.optimizer.state_dict(), "generator": self.generator.get_state()}

    def load_state_dict(self, state):
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"])


class Shuffled:
    """Shuffled batches; after `load_state_dict` the next iteration goes on where the state was taken."""

    def __init__(self, size=3):
        self.x, self.y = data()
        self.size = size
        self.generator = torch.Generator().manual_seed(3)
        self.order, self.position, self.resumed = torch.zeros(0, dtype=torch.int64), 0, False

    def __iter__(self):
        if not self.resumed or self.position == 0:
            self.order, self.position = torch.randperm(len(self.x), generator=self.generator), 0
        self.resumed = False
        while self.position < len(self.x):
            chosen = self.order[self.position : self.position + self.size]
            self.position += self.size
            yield self.x[chosen], self.y[chosen]
        self.position = 0

    def state_dict(self):
        return {"generator": self.generator.get_state(), "order": self.order, "position": self.position}

    def load_state_dict(self, state):
        self.generator.set_state(state["generator"])
        self.order, self.position, self.resumed = state["order"], state["position"], True


def mean_square(network, validation):
    x, y = validation
    return float((network(x) - y).square().mean())
