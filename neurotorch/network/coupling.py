"""What gap junctions ask of a neuron model: a potential, and steps that are short enough."""

from __future__ import annotations

import torch

from neurotorch.connections.electrical import ElectricalConnection
from neurotorch.core.trees import leaves
from neurotorch.engine import Population
from neurotorch.engine.jacobian import local_jacobian
from neurotorch.network.steps import NeuronStep
from neurotorch.neurons.base import NeuronModel


def potential_field(electrical: ElectricalConnection, neuron: NeuronModel) -> int:
    """Return the number of the potential among the fields of a neuron's state."""
    name = neuron.potential()
    if name is None:
        raise ValueError(
            f"{type(neuron).__name__} has no potential of its own that gap junctions could even out: its state has "
            f"{list(neuron.State._fields)}. Leave out `electrical`, take one model whose constants differ between "
            "neurons in place of several models, or define `potential` on a model of yours."
        )
    state = neuron.initial_state(1, electrical.raw.detach())
    place = neuron.State._fields.index(name)
    return sum(len(leaves(branch)) for branch in state[:place])


def coupled_field(electrical: ElectricalConnection, neuron: NeuronModel, neurons: int) -> int:
    """Return the number of the potential among the fields of the state; raise unless gap junctions fit a layer."""
    if not isinstance(electrical, ElectricalConnection):
        raise TypeError(f"`electrical` is a {type(electrical).__name__}, but it must be an ElectricalConnection.")
    if electrical.neurons != neurons:
        raise ValueError(f"`electrical` joins {electrical.neurons} neurons, but the layer has {neurons}.")
    return potential_field(electrical, neuron)


@torch.no_grad()
def check_coupling_stable(owner: str, electrical: ElectricalConnection, neuron: NeuronModel, dt: float) -> None:
    """Raise if steps of `dt` seconds are too long for the conductances, judged by the linear step at rest.

    With `J` the Jacobian of a neuron's step by its state, `b` that by its current, and ``G_i = sum_j g_ij``: the
    differences of potentials that a junction evens out decay as ``J - lambda b e_v^T`` with ``0 <= lambda <= 2 max G``.
    None of them may grow that does not grow without junctions.

    Raises
    ------
    ValueError
        Naming the neuron with the largest conductance, and the largest share of the conductances that is stable.
    """
    weight = electrical.weight().double()
    total, field = weight.sum(1), potential_field(electrical, neuron)
    state = neuron.initial_state(1, weight)
    zero = torch.zeros_like(weight[:1, None])
    population = Population(NeuronStep(type(neuron)), neuron.coefficients(dt), state, zero, zero)
    constants = [False] * len(leaves(population.coefficients))
    before = [leaf[None].double() for leaf in leaves(state)]
    part = local_jacobian(population, before, zero, constants=constants).of_state()[:, :, 0, 0]
    own, by_current = part[:, :-1].permute(2, 0, 1), part[:, -1].t()  # (neuron, field, field), (neuron, field)
    bound = torch.linalg.eigvals(own).abs().amax(1).clamp(min=1) + 1e-6

    def grows(share: float) -> bool:
        for through in (share * total, 2 * share * total):
            coupled = own.clone()
            coupled[:, :, field] -= through[:, None] * by_current
            if bool((torch.linalg.eigvals(coupled).abs().amax(1) > bound).any()):
                return True
        return False

    if not grows(1.0):
        return
    stable, unstable = 0.0, 1.0
    for _ in range(20):
        middle = (stable + unstable) / 2
        stable, unstable = (stable, middle) if grows(middle) else (middle, unstable)
    neuron_of = int(total.argmax())
    raise ValueError(
        f"The gap junctions of {owner} are too strong for steps of {dt:g} s: those of neuron {neuron_of} add up to "
        f"{float(total[neuron_of]):g}, and differences of potentials would grow from step to step. Scale the "
        f"conductances by {0.99 * stable:.3g} or less, or take shorter steps."
    )
