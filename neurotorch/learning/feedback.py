"""Feedback: the way back on which the error of the output reaches the layers below."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from neurotorch.core.checks import check_finite, check_fraction, check_positive
from neurotorch.core.seeds import torch_generator
from neurotorch.network.network import Network


class Path(NamedTuple):
    """Where the learning signal of a layer comes from: a layer by number, and ``(neuron there, neuron here)``."""

    source: int
    matrix: Tensor


class Feedback(ABC):
    """How an error comes back. A feedback belongs to one network, whose rule calls `start` once.

    Attributes
    ----------
    follows
        Whether it changes with the readout, and so must be told of its steps.
    """

    follows: ClassVar[bool] = False

    @abstractmethod
    def start(self, network: Network) -> None:
        """Make what is needed for `network`, or raise where it has no use for it."""

    @abstractmethod
    def paths(self, network: Network, weights: Mapping[str, Tensor]) -> dict[int, Path]:
        """Return the path of every layer below the last, by its number; `weights` are the effective weights."""

    @abstractmethod
    def follow(self, network: Network, before: Tensor, after: Tensor) -> None:
        """Learn of a step that changed the readout's effective weights; called where the feedback `follows`."""

    def state_dict(self) -> dict[str, Any]:
        """Return the matrices by layer."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up saved matrices."""
        if state:
            raise ValueError(
                f"The state holds feedback matrices for {list(state)}, but {type(self).__name__} has none: continue "
                "with the feedback that it was begun with."
            )


class Symmetric(Feedback):
    """The weights of the way up, as backpropagation has them: ``L_j = sum_k W_kj (error of k)``.

    A layer that is observed directly gets its own error: the identity.
    """

    def start(self, network: Network) -> None:
        """Need nothing."""
        del network

    def paths(self, network: Network, weights: Mapping[str, Tensor]) -> dict[int, Path]:
        """Return the weights of the connections that lead up."""
        names = list(network.layers)
        return {i: Path(i + 1, weights[f"{names[i + 1]}.inputs"].detach()) for i in range(len(names) - 1)}

    def follow(self, network: Network, before: Tensor, after: Tensor) -> None:
        """Change nothing: the weights themselves are the way back."""
        del network, before, after


class _Broadcast(Feedback):
    """Weights of their own from the output to every layer below."""

    def __init__(self, seed: int = 0, *, scale: float = 1.0, matrices: Mapping[str, Tensor] | None = None) -> None:
        self.seed, self.scale = seed, check_positive("scale", scale)
        if matrices is not None and not isinstance(matrices, Mapping):
            raise TypeError(f"`matrices` is a {type(matrices).__name__}, but it maps names of layers to matrices.")
        self.given = dict(matrices or {})
        self.matrices: dict[str, Tensor] = {}

    def start(self, network: Network) -> None:
        """Draw the weights; raise if another rule has this feedback already, whose weights would be lost."""
        if self.matrices:
            raise ValueError(
                f"This {type(self).__name__} feedback belongs to another rule already, and has weights for its layers "
                f"{list(self.matrices)}: give each rule one of its own."
            )
        layers = network.named_layers()
        below, (last, output) = list(layers.items())[:-1], list(layers.items())[-1]
        if not below:
            raise ValueError(
                f"The network has the one layer {last!r}, whose own error is known: there is no way back that random "
                "feedback could stand for. Use feedback=Symmetric(), or add a readout."
            )
        if unknown := set(self.given) - {name for name, _ in below}:
            raise ValueError(
                f"`matrices` names {sorted(unknown)}, but the layers below the last are {list(layers)[:-1]}."
            )
        for name, layer in below:
            shape, like = (layer.neurons, output.neurons), layer.like()
            if name in self.given:
                matrix = torch.as_tensor(self.given[name]).detach().to(like)
            else:
                generator = torch_generator(self.seed, f"feedback of {name}")
                draw = torch.randn(shape, generator=generator, dtype=torch.float64)
                matrix = (self.scale / layer.neurons**0.5 * draw).to(like)
            if tuple(matrix.shape) != shape:
                raise ValueError(
                    f"The feedback matrix of layer {name!r} is {tuple(matrix.shape)}, but (neuron, output neuron) is "
                    f"{shape}: one row for each neuron of {name!r}, one column for each of {last!r}."
                )
            check_finite(f"matrices[{name!r}]", matrix)
            self.matrices[name] = matrix.clone()

    def paths(self, network: Network, weights: Mapping[str, Tensor]) -> dict[int, Path]:
        """Return the matrices, from the last layer to each."""
        del weights
        last, layers = len(network.layers) - 1, network.named_layers()
        # a network may have moved since, to another device or dtype
        self.matrices = {name: matrix.to(layers[name].like()) for name, matrix in self.matrices.items()}
        return {index: Path(last, self.matrices[name].t()) for index, name in enumerate(self.matrices)}

    def state_dict(self) -> dict[str, Any]:
        """Return the matrices by layer."""
        return {name: matrix.clone() for name, matrix in self.matrices.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up saved matrices."""
        shapes = {name: tuple(matrix.shape) for name, matrix in self.matrices.items()}
        if (saved := {name: tuple(matrix.shape) for name, matrix in state.items()}) != shapes:
            raise ValueError(
                f"The state holds feedback matrices {saved}, but {type(self).__name__} has {shapes}: continue with the "
                "feedback that it was begun with."
            )
        for name, matrix in self.matrices.items():
            matrix.copy_(state[name])


class Random(_Broadcast):
    """Fixed random weights from the output's error to every layer below: one vector per neuron.

    ``L_j = sum_k B_jk (error of k)``, for each layer with a ``B`` of its own (broadcast), as if it projected to the
    last layer with the weights ``B^T``. What follows is *not* a gradient of the loss, save for the last layer itself.

    Parameters
    ----------
    seed
        Of the weights; every layer draws from a stream of its own.
    scale
        The weights are normal with the standard deviation ``scale / sqrt(neurons of the layer)``, about that of a
        readout.
    matrices
        Weights ``(neuron, output neuron)`` by layer, in place of drawn ones.

    References
    ----------
    Lillicrap et al. 2016, doi:10.1038/ncomms13276; broadcast alignment in Bellec et al. 2020,
    doi:10.1038/s41467-020-17236-y.
    """

    def follow(self, network: Network, before: Tensor, after: Tensor) -> None:
        """Change nothing: the weights stay as drawn."""
        del network, before, after


class Adaptive(_Broadcast):
    """Random weights that change as those of the readout do, so that the two align.

    After every step that changed the readout's effective weights by ``dW``, for the layer right below it::

        B <- (1 - decay) (B + dW^T),    W <- (1 - decay) (W + dW)

    so that ``B - W^T`` shrinks by ``1 - decay`` per step; without decay it stays as drawn. Layers further below keep
    their random weights. Not a gradient, though it approaches that of `Symmetric`.

    Parameters
    ----------
    seed, scale, matrices
        As of `Random`.
    decay
        Share of the weights that is lost at every step, of ``B`` and of the readout alike: in place of a weight decay
        of the optimizer, which would act on the readout alone.

    References
    ----------
    Bellec et al. 2020, doi:10.1038/s41467-020-17236-y, "adaptive e-prop"; Kolen & Pollack 1994,
    doi:10.1109/ICNN.1994.374486.
    """

    follows = True

    def __init__(
        self,
        seed: int = 0,
        *,
        scale: float = 1.0,
        decay: float = 1e-3,
        matrices: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__(seed, scale=scale, matrices=matrices)
        self.decay = check_fraction("decay", decay)

    @torch.no_grad()
    def follow(self, network: Network, before: Tensor, after: Tensor) -> None:
        """Change as the readout has, and let both decay."""
        names = list(network.layers)
        matrix = self.matrices[names[-2]]
        matrix.add_((after - before).t()).mul_(1 - self.decay)
        if self.decay:
            connection = network.connections()[f"{names[-1]}.inputs"]
            connection.set_weight((1 - self.decay) * after)
