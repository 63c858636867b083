"""Finds every learning rule that the package exports, and how to build each for the contracts.

A new rule needs an entry in `CASES`; everything else is found.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from neurotorch import learning
from neurotorch.connections import Connection, Dale, Projected, Square, no_self
from neurotorch.data import Batch
from neurotorch.learning import (
    BPTT,
    FORCE,
    EProp,
    LearningRule,
    MeanSquaredError,
    ThreeFactor,
    TruncatedBPTT,
    WarmUp,
    Weaning,
)
from neurotorch.network import Layer, Network, Observation
from neurotorch.neurons import FiringRate, WilsonCowan, learned

CHANNELS, DT = 2, 0.1
MakeOptimizer = Callable[[Network], Optimizer]

OPTIMIZERS: dict[str, MakeOptimizer] = {
    "SGD": lambda n: torch.optim.SGD(n.parameters(), lr=0.5, momentum=0.9, weight_decay=0.1),
    "Adam": lambda n: torch.optim.Adam(n.parameters(), lr=0.2, weight_decay=0.1),
    "AdamW": lambda n: torch.optim.AdamW(n.parameters(), lr=0.2, weight_decay=0.1),
    "RMSprop": lambda n: torch.optim.RMSprop(n.parameters(), lr=0.1, momentum=0.5, weight_decay=0.1),
}


def closed_loop(generator: torch.Generator) -> Network:
    """Return two layers of smooth neurons under Dale's law, with masks, feedback, and learned constants."""
    mask = (torch.rand(6, 6, generator=generator) < 0.7).fill_diagonal_(True)  # no neuron without input
    cortex = Layer(
        WilsonCowan(learned(torch.full((6,), 0.3)), learned(torch.zeros(6))),
        6,
        inputs=Connection(CHANNELS, 6, generator=generator),
        recurrent=Connection(6, 6, dale=Dale.fraction(6, 0.5, magnitude=Square()), mask=mask, generator=generator),
        bias=learned(torch.zeros(6)),
    )
    readout = Layer(
        FiringRate(learned(0.2)),
        3,
        inputs=Connection(6, 3, dale=Dale.fraction(6, 0.5, magnitude=Projected()), generator=generator),
    )
    return Network(
        {"cortex": cortex, "readout": readout},
        dt=DT,
        observation=Observation(gain=learned(1.5)),
        feedback={"readout -> cortex": Connection(3, 6, dale=Dale.fraction(3, 0.67), generator=generator)},
    )


def delayed(generator: torch.Generator) -> Network:
    """Return the closed loop with a delay in every connection: synapse by synapse in and to the cortex."""
    network = closed_loop(generator)

    def late(connection: Connection, delay: float | Tensor) -> Connection:
        found = Connection(connection.pre, connection.post, dale=connection.dale, mask=connection.mask, delay=delay)
        found.set_weight(connection.weight())
        return found

    layers = network.named_layers()
    cortex, readout = layers["cortex"], layers["readout"]
    assert cortex.inputs is not None
    assert cortex.recurrent is not None
    assert readout.inputs is not None
    cortex.inputs = late(cortex.inputs, DT * (1 + 2 * torch.rand(6, CHANNELS, generator=generator)))
    cortex.recurrent = late(cortex.recurrent, DT * (1 + 3 * torch.rand(6, 6, generator=generator)))
    readout.inputs = late(readout.inputs, 2 * DT)
    feedback = late(network.connections()["readout -> cortex"], 3 * DT)
    return Network(layers, dt=DT, observation=network.observation, feedback={"readout -> cortex": feedback})


def alone(generator: torch.Generator, *, delay: float | None = None) -> Network:
    """Return one fully observed layer under Dale's law."""
    dale = Dale.fraction(6, 0.5, magnitude=Projected())
    recurrent = Connection(6, 6, dale=dale, mask=no_self(6), delay=delay, generator=generator)
    return Network(
        {"cortex": Layer(WilsonCowan(0.3), 6, recurrent=recurrent, bias=learned(torch.zeros(6)))},
        dt=DT,
    )


@dataclass(frozen=True)
class RuleCase:
    """How to build a rule for the contracts.

    Parameters
    ----------
    build
        From a network, and how to make an optimizer of it, to the rule.
    network
        A network that the rule trains; by default two layers in a closed loop.
    delayed
        One with delays.
    takes_optimizer
        Whether the rule uses the optimizer, and keeps it as `optimizer`.
    refuses
        What the error says by which the rule refuses two layers in a closed loop; None if it trains them.
    """

    build: Callable[[Network, MakeOptimizer], LearningRule]
    network: Callable[[torch.Generator], Network] = closed_loop
    delayed: Callable[[torch.Generator], Network] = delayed
    takes_optimizer: bool = True
    refuses: str | None = None


CASES: dict[str, RuleCase] = {
    "BPTT": RuleCase(
        lambda network, optimizer: BPTT(
            network, MeanSquaredError(), optimizer=optimizer(network), forcing=WarmUp(2), clip=1.0, accumulate=2
        )
    ),
    "TruncatedBPTT": RuleCase(
        lambda network, optimizer: TruncatedBPTT(
            network, MeanSquaredError(), optimizer=optimizer(network), k1=4, k2=7, forcing=WarmUp(2), clip=1.0
        )
    ),
    "FORCE": RuleCase(lambda network, _: FORCE(network, alpha=10.0, every=2, forcing=WarmUp(1)), takes_optimizer=False),
    "Weaning": RuleCase(
        lambda network, _: Weaning(network),
        alone,
        lambda generator: alone(generator, delay=2 * DT),
        takes_optimizer=False,
        refuses="recurrent connection",
    ),
    "EProp": RuleCase(
        lambda network, optimizer: EProp(
            network,
            MeanSquaredError(),
            optimizer=optimizer(network),
            online=True,
            update_every=5,
            forcing=WarmUp(2),
            clip=1.0,
        )
    ),
    "ThreeFactor": RuleCase(
        lambda network, optimizer: ThreeFactor(
            network, closeness, optimizer=optimizer(network), baseline=0.5, forcing=WarmUp(2), clip=1.0
        )
    ),
}


def closeness(output: Tensor, batch: Batch) -> Tensor:
    """Return a reward ``(frame, batch)``."""
    return -(output - batch.target).square().mean(-1)


def discover() -> list[type[LearningRule]]:
    """Return every concrete learning rule that `neurotorch.learning` exports."""
    exported = [getattr(learning, name) for name in learning.__all__]
    return [x for x in exported if inspect.isclass(x) and issubclass(x, LearningRule) and not inspect.isabstract(x)]


def case_of(rule: type[LearningRule]) -> RuleCase:
    """Return how to build `rule`, or fail saying what is missing."""
    assert rule.__name__ in CASES, (
        f"The contracts do not know how to build {rule.__name__}: add CASES[{rule.__name__!r}] = RuleCase(...) in "
        "tests/contracts/rules.py."
    )
    return CASES[rule.__name__]


def drawn(network: Network, generator: torch.Generator, *, frames: int = 14, samples: int = 2) -> Batch:
    """Return a random batch that fits `network`."""
    like = next(network.parameters())
    first = next(iter(network.named_layers().values()))
    target = torch.rand(frames, samples, network.neurons, generator=generator).to(like)
    if first.inputs is None:
        return Batch(target, None)
    return Batch(target, torch.randn(frames, samples, first.inputs.pre, generator=generator).to(like))
