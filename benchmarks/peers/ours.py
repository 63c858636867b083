"""Ours, through the public API; the same network by the reference loop, which is plain autograd; and the bare scan."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import torch
from peers.peer import AbsentError, Peer
from peers.problem import CHANNELS, OUTPUTS, Problem, draw
from torch import Tensor

from neurotorch.connections import Connection, Dale, Given
from neurotorch.engine import Link, adjoint, reference
from neurotorch.network import Layer, Network
from neurotorch.neurons import CurrentLIF, LeakyIntegrator, WilsonCowan, learned

MODELS = ("current-lif", "wilson-cowan")


def network(problem: Problem) -> Network:
    """Return the recurrent layer and its readout, with learned time constants."""
    n, c = problem.setting.neurons, problem.constants
    neuron = CurrentLIF(learned(c.tau_syn), learned(c.tau_mem)) if c.tau_syn else WilsonCowan(learned(c.tau_mem))
    dale = None if problem.signs is None else Dale(problem.signs)
    recurrent = Layer(
        neuron,
        n,
        inputs=Connection(CHANNELS, n, init=Given(problem.input_weight)),
        recurrent=Connection(n, n, dale=dale, init=Given(problem.recurrent_weight)),
    )
    readout = Layer(
        LeakyIntegrator(learned(c.tau_readout)),
        OUTPUTS,
        inputs=Connection(n, OUTPUTS, init=Given(problem.readout_weight)),
    )
    return Network({"recurrent": recurrent, "readout": readout}, dt=c.dt).to(problem.inputs.dtype)


class Ours(Peer):
    what = "Network(Layer with Connections, readout LeakyIntegrator), run by adjoint.scan"
    learned = "tau_syn and tau_mem (Wilson-Cowan: tau), tau of the readout"
    models = MODELS
    scan: Callable[..., Any] | None = None
    """The engine, in place of the one that a network calls by itself."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.network = network(problem)

    def forward(self) -> Tensor:
        with mock.patch.object(adjoint, "scan", type(self).scan or adjoint.scan):
            run = self.network.run(self.problem.inputs)
        self.emitted = run.runs[0].emitted.detach()
        return (run.output - self.problem.target).square().mean()

    def parameters(self) -> list[Tensor]:
        return list(self.network.parameters())

    def activity(self) -> float:
        return float(self.emitted.mean())


class Autograd(Ours):
    what = "the same network by reference.scan: plain autograd through the loop over time"
    scan = reference.scan


_scan = adjoint.scan


def _recomputed(*arguments: Any, **options: Any) -> Any:
    return _scan(*arguments, **{**options, "recompute": True})


class Recomputed(Ours):
    what = "the same network by adjoint.scan(..., recompute=True), which keeps less and runs parts of the forward twice"
    scan = _recomputed

    def __init__(self, problem: Problem) -> None:
        if "recompute" not in inspect.signature(_scan).parameters:
            raise AbsentError("adjoint.scan has no keyword `recompute`")
        super().__init__(problem)


class Scan(Ours):
    what = "adjoint.scan alone: no readout, currents given, weights effective; the loss weighs the activity"
    learned = "tau_syn and tau_mem (Wilson-Cowan: tau)"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.layer: Any = self.network.layers["recurrent"]
        with torch.no_grad():
            self.current = self.layer.external_current(
                problem.inputs,
                problem.input_weight,
                steps=problem.setting.steps,
                batch=problem.setting.batch,
            )
        self.weight = problem.recurrent_weight.clone().requires_grad_()
        self.slope = torch.randn(self.current.shape, generator=torch.Generator().manual_seed(1)).to(self.current)

    def forward(self) -> Tensor:
        state = self.layer.initial_state(self.problem.setting.batch, self.current)
        population = self.layer.population(self.current, state, dt=self.problem.constants.dt)
        (run,) = adjoint.scan([population], [Link(0, 0, self.weight)])
        self.emitted = run.emitted.detach()
        return torch.dot(run.emitted.flatten(), self.slope.flatten())

    def parameters(self) -> list[Tensor]:
        return [self.weight, *self.layer.neuron.parameters()]


def agreement(problem: Problem) -> dict[str, float]:
    """Return ``|ours - autograd| / |autograd|`` per gradient over the first 100 steps in float64.

    Another order of summation flips a spike sooner or later, and the trajectories part: so not over all of a sequence.
    """
    short = replace(problem.setting, steps=min(100, problem.setting.steps), dtype="float64")
    gradients = {}
    for engine in (Ours, Autograd):
        peer = engine(draw(short))
        peer.backward(peer.forward())
        gradients[engine] = {name: parameter.grad for name, parameter in peer.network.named_parameters()}
    return {
        name: float((gradient - gradients[Autograd][name]).norm() / gradients[Autograd][name].norm())
        for name, gradient in gradients[Ours].items()
    }
