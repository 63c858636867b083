"""Lesions of named pathways: the connections of one block between regions."""

from __future__ import annotations

import torch

from neurotorch.analysis.ablation import Ablation, Weights, random
from neurotorch.connections.regions import Regions
from neurotorch.core.checks import check_kind, nearest


def pathway(regions: Regions, *blocks: str, address: str, order: Ablation = random) -> Ablation:
    """Return the ablation of the connections from region to region at one address; all others stay.

    Its fraction is that of the connections *of the pathway*: 1 cuts it, 0.5 removes half of it in the order of `order`.
    In a study the column ``removed`` counts what was removed, ``connections`` all there were at the study's addresses.

    Parameters
    ----------
    regions
        The named groups of the neurons of a population.
    blocks
        Such as ``"tectum -> hindbrain"``, see `Regions.block`; several are removed as one pathway.
    address
        Of the recurrent connection of that population, such as ``"brain.recurrent"``.
    order
        Which connections go first: `random`, `weakest`, `strongest`, or one of your own.

    Raises
    ------
    ValueError
        If a region does not exist, or (when applied) there are no weights of that size at `address`.

    Examples
    --------
    ``AblationStudy(network, metric).run([pathway(regions, "tectum -> hindbrain", address="brain.recurrent")], [0, 1])``
    """
    check_kind("regions", regions, Regions, example="Regions.of_labels(labels)")
    check_kind("address", address, str, example="'brain.recurrent'")
    check_kind("order", order, Ablation, example="weakest")
    block = regions.block(*blocks)

    def apply(weights: Weights, fraction: float, generator: torch.Generator) -> Weights:
        if address not in weights:
            raise ValueError(
                f"The pathway is at {address!r}, but there are weights at {list(weights)}.{nearest(address, weights)}"
            )
        weight = weights[address]
        if weight.shape != block.shape:
            raise ValueError(
                f"The regions are of {regions.neurons} neurons, but the weights at {address!r} have shape "
                f"{tuple(weight.shape)}: name the recurrent connection of the population that they are regions of."
            )
        inside = block.to(weight.device)
        lesioned = order.apply({address: torch.where(inside, weight, 0.0)}, fraction, generator)[address]
        return {**weights, address: torch.where(inside, lesioned, weight)}

    return Ablation(f"{', '.join(blocks)} ({order.name})", apply, stochastic=order.stochastic)
