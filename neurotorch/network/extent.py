"""How long a network is to run, and for how many samples."""

from __future__ import annotations

from torch import Tensor

from neurotorch.core.checks import check_count, check_kind
from neurotorch.network.checks import check_inputs_finite
from neurotorch.network.forcing import Forcing


def extent(
    inputs: Tensor | None, forcing: Forcing | None, *, frames: int | None, samples: int | None, neurons: int
) -> tuple[int, int]:
    """Return frames and samples; raise unless all that states them agrees.

    Parameters
    ----------
    inputs, forcing
        ``(frame, batch, channel)``, and what the last layer is pulled to.
    frames
        How long, if the caller says so.
    samples
        Those of the state to start from, if there is one.
    neurons
        Of the last layer.
    """
    if forcing is not None:
        check_kind("forcing", forcing, Forcing, example="Forcing.full(target)")
        check_kind("forcing.strength", forcing.strength, Tensor, example="torch.ones(frames)")
    if frames is not None:
        check_count("frames", frames)
    stated = {}
    for name, tensor in (("inputs", inputs), ("forcing.target", forcing.target if forcing else None)):
        if tensor is not None:
            check_kind(name, tensor, Tensor, example="torch.zeros(frames, batch, channels)")
            stated[name] = tuple(tensor.shape)
    for name, shape in stated.items():
        if len(shape) != 3:
            raise ValueError(f"`{name}` is {shape}, but it must be (frame, batch, channel).")
    if inputs is not None:
        check_inputs_finite(inputs)
    lengths = {shape[0] for shape in stated.values()} | ({frames} if frames is not None else set())
    if len(lengths) != 1:
        said = ", ".join(f"`{name}` {shape}" for name, shape in stated.items()) or "nothing"
        raise ValueError(f"How many frames to run? {said} and frames={frames} must state one number.")
    batches = {shape[1] for shape in stated.values()} | ({samples} if samples is not None else set())
    if len(batches) > 1:
        raise ValueError(f"The batch sizes of inputs, forcing and state differ: {sorted(batches)}.")
    (length,) = lengths
    if forcing is not None:
        forcing.check(length, neurons)
    return length, batches.pop() if batches else 1
