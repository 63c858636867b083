"""How close the gradients of learning rules come to those of BPTT, and what they cost."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from neurotorch.core.checks import check_count
from neurotorch.data.windows import Batch
from neurotorch.learning.base import BatchReport
from neurotorch.learning.bptt import BPTT
from neurotorch.learning.gradient_rule import GradientRule
from neurotorch.learning.peak_memory import peak_memory
from neurotorch.network.network import Network

if TYPE_CHECKING:
    import pandas as pd

ALL = "all"
"""In place of a parameter's name: the gradient of all parameters as one vector."""


class Agreement(NamedTuple):
    """One parameter's gradient ``g`` by a rule beside ``b`` by BPTT.

    `cosine` is ``g.b / (|g| |b|)``, NaN where one of them is zero; `norm_ratio` is ``|g| / |b|``, NaN where ``b`` is
    zero. A rule that writes no gradient has ``g = 0``. Sums are taken in float64.
    """

    rule: str
    parameter: str
    cosine: float
    norm_ratio: float


class Cost(NamedTuple):
    """What one gradient costs: the median `seconds`, and `bytes` of the tensors alive at once (see `PeakMemory`).

    `loss` is what the rule reported; `seconds` is NaN where no time was taken.
    """

    rule: str
    loss: float
    seconds: float
    bytes: int | None


@dataclass(frozen=True)
class GradientComparison:
    """What `compare_gradients` found.

    Attributes
    ----------
    reference
        Name of the rule that the others are compared with.
    agreements
        By rule, then by parameter, ``"all"`` last.
    costs
        By rule.
    """

    reference: str
    agreements: tuple[Agreement, ...]
    costs: tuple[Cost, ...]

    def to_frame(self) -> pd.DataFrame:
        """Return a table with a row per rule and parameter: ``rule, parameter, cosine, norm_ratio``."""
        import pandas as pd

        return pd.DataFrame(self.agreements, columns=Agreement._fields)

    def costs_to_frame(self) -> pd.DataFrame:
        """Return a table with a row per rule: ``rule, loss, seconds, bytes``."""
        import pandas as pd

        return pd.DataFrame(self.costs, columns=Cost._fields)


def compare_gradients(
    network: Network, batch: Batch, rules: Mapping[str, GradientRule], *, repeats: int = 5, memory: bool = True
) -> GradientComparison:
    """Compare the gradients of rules on one batch, at the present parameters, with those of backpropagation.

    Nothing is changed: parameters, their ``grad``, the optimizers and torch's default generators are as before. Each
    rule finds the default generators in the same state.

    Parameters
    ----------
    network
        The network of all rules.
    batch
        What the gradients are taken on.
    rules
        Name to rule. The first `BPTT` among them is what all are compared with, its loss and forcing included.
    repeats
        Gradients that are timed per rule, after one that is not; 0 takes no times.
    memory
        Whether memory is measured, in a run of its own.

    Raises
    ------
    ValueError
        If a rule trains another network, or there is no `BPTT`.
    TypeError
        If a rule is not a `GradientRule`.
    RuntimeError
        If a rule changed a parameter, which `GradientRule.gradient` must not; its value is put back.
    """
    check_count("repeats", repeats, least=0)
    reference = _check_rules(network, rules)
    names = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    kept = {name: (p, p.detach().clone(), p.grad) for name, p in network.named_parameters()}
    cuda = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    found: dict[str, dict[str, Tensor]] = {}
    costs = []
    try:
        for name, rule in rules.items():
            with torch.random.fork_rng(cuda):
                report = _gradient(rule, batch)
            found[name] = {key: p.grad.clone() for key, p in network.named_parameters() if p.grad is not None}
            with torch.random.fork_rng(cuda):
                seconds = [_seconds(rule, batch) for _ in range(repeats)]
                size = peak_memory(_gradient, rule, batch) if memory else None
            costs.append(Cost(name, report.loss, median(seconds) if seconds else float("nan"), size))
            _check_unchanged(name, kept)
    finally:
        for parameter, value, gradient in kept.values():
            parameter.data.copy_(value)
            parameter.grad = gradient
    agreements = [row for name in rules for row in _agreements(name, names, found[name], found[reference])]
    return GradientComparison(reference, tuple(agreements), tuple(costs))


def _check_rules(network: Network, rules: Mapping[str, GradientRule]) -> str:
    """Return the name of the reference."""
    if not isinstance(rules, Mapping):
        raise TypeError(f'`rules` is a {type(rules).__name__}, but it maps names to rules: {{"BPTT": BPTT(...)}}.')
    for name, rule in rules.items():
        if not isinstance(rule, GradientRule):
            raise TypeError(f"Rule {name!r} is a {type(rule).__name__}, which follows no gradient: leave it out.")
        if rule.network is not network:
            raise ValueError(
                f"Rule {name!r} trains another network, of the layers {list(rule.network.layers)}: build every rule "
                "with the network that is compared."
            )
    for name, rule in rules.items():
        if isinstance(rule, BPTT):
            return name
    raise ValueError(
        f"Among the rules {list(rules)} is no BPTT to compare with: add BPTT(network, loss, optimizer=...)."
    )


def _gradient(rule: GradientRule, batch: Batch) -> BatchReport:
    rule.network.zero_grad(set_to_none=True)  # a rule may leave alone what its optimizer does not hold
    return rule.gradient(batch)


def _seconds(rule: GradientRule, batch: Batch) -> float:
    """Return how long one gradient takes."""
    started = time.perf_counter()
    _gradient(rule, batch)
    if batch.target.is_cuda:
        torch.cuda.synchronize(batch.target.device)
    return time.perf_counter() - started


def _check_unchanged(rule: str, kept: Mapping[str, tuple[Tensor, Tensor, Tensor | None]]) -> None:
    for name, (parameter, value, _) in kept.items():
        if not torch.equal(parameter, value):
            raise RuntimeError(
                f"Rule {rule!r} changed the parameter {name!r} while its gradient was taken: its class must override "
                "`GradientRule.gradient` such that nothing but the gradients is changed."
            )


def _agreements(rule: str, names: list[str], found: dict[str, Tensor], true: dict[str, Tensor]) -> list[Agreement]:
    """Return the rows of a rule, from sums over each parameter that add up to those over all."""
    rows = []
    total = torch.zeros(3, dtype=torch.float64)
    for name in names:
        sums = _sums(found.get(name), true.get(name))
        total += sums
        rows.append(Agreement(rule, name, *_compared(sums)))
    return [*rows, Agreement(rule, ALL, *_compared(total))]


def _sums(g: Tensor | None, b: Tensor | None) -> Tensor:
    """Return ``g.b, g.g, b.b`` in float64; an absent gradient is zero."""
    first, second = (None if x is None else x.detach().double().flatten().cpu() for x in (g, b))
    zero = torch.zeros((), dtype=torch.float64)
    product = zero if first is None or second is None else first @ second
    squares = [zero if x is None else x @ x for x in (first, second)]
    return torch.stack([product, *squares])


def _compared(sums: Tensor) -> tuple[float, float]:
    """Return cosine and norm ratio."""
    product, found, true = sums.tolist()
    nan = float("nan")
    cosine = product / (found * true) ** 0.5 if found * true > 0 else nan
    return cosine, (found / true) ** 0.5 if true > 0 else nan
