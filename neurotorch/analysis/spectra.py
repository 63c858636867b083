"""The spectra of the recurrent weights of a network."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from neurotorch.connections.spectrum import SpectrumReport, spectrum_report
from neurotorch.core.checks import check_kind
from neurotorch.network.addresses import with_overrides
from neurotorch.network.network import Network


@torch.no_grad()
def spectra_of(network: Network, *, weights: Mapping[str, Tensor] | None = None) -> dict[str, SpectrumReport]:
    """Return, for every recurrent connection by its address, what its eigenvalues and singular values say.

    See `SpectrumReport`: spectral radius, leading eigenvalue, radius of the bulk, outlier, mean input, entropy of the
    singular values. Loops through several layers are not joined: each connection is taken by itself.

    Parameters
    ----------
    network
        The network.
    weights
        Effective weights by address, in place of the network's own: a lesion.
    """
    check_kind("network", network, Network, example="Network({'cortex': layer}, dt=0.001)")
    found = with_overrides(network.effective_weights(), weights)
    return {address: spectrum_report(weight) for address, weight in found.items() if address.endswith(".recurrent")}
