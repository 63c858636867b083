"""The doctor: which neurons are silent, saturated, exploding or out of balance, and what to change."""

from __future__ import annotations

from torch import Tensor

from neurotorch.analysis.doctor.diagnosis import Diagnosis
from neurotorch.analysis.doctor.examination import Examination
from neurotorch.analysis.doctor.look import look
from neurotorch.core.checks import check_count, check_fraction
from neurotorch.data.windows import Batch
from neurotorch.network.network import Network


def examine(
    network: Network,
    batch: Batch | Tensor | None = None,
    *,
    frames: int = 200,
    tolerance: float = 0.05,
    prescribe: bool = True,
) -> Diagnosis:
    """Run a network and say what is wrong with it, layer by layer, and what to change.

    Looked for are, in each layer:

    - **exploding** neurons: a state that more than doubles from each quarter of the run to the next, or is not finite;
    - an **outlier** eigenvalue of the recurrent weights, beyond 1 and beyond two radii of the bulk (from 20 neurons
      on);
    - **unbalanced** input, under Dale's law: the median neuron has less than half or more than twice as much inhibition
      as excitation, and they leave over more than what comes from outside of the layer;
    - **saturated** neurons: spikes in 80 % of the steps in which they could, or a rate at an end of its range, in the
      second half of the run;
    - **silent** neurons: no spike in any step and sample, or a rate that stays within 2 % of its range above the floor
      in the second half of the run;
    - **no gradient**: neurons that fire, but whose surrogate derivative is below 0.001 in every step.

    What is proposed has been tried: on copies of the network, on the same batch, from mild to strong, until no more of
    those neurons than `tolerance` allows are silent, saturated or exploding, or others in their place. Where the
    finding says that some are left, nothing that was tried was enough. Each finding is tried by itself: make the change
    of the first (``diagnosis.findings[0].change.apply_(network)``) and examine again. The network is not changed, and
    nothing is drawn at random.

    Parameters
    ----------
    network
        What is examined.
    batch
        Windows of a recording, of which the first quarter is followed by forcing where the network can be forced;
        inputs ``(frame, batch, channel)``; or None for a network that runs by itself.
    frames
        How long, where the batch does not say.
    tolerance
        Share of the neurons of a layer that may be silent, saturated or without gradient.
    prescribe
        Whether changes are looked for: one to some eighty runs for each finding. Where nothing is found it costs
        nothing.

    Returns
    -------
    Diagnosis
        Its text is a report.

    Raises
    ------
    FloatingPointError
        If the network is not finite from the first frame on, as with a weight that is NaN.
    """
    check_count("frames", frames)
    check_fraction("tolerance", tolerance)
    seen = look(network, batch, frames=frames)
    examination = Examination(network, batch, seen, frames=frames, tolerance=tolerance, prescribe=prescribe)
    found = [finding for name in seen.layers for finding in examination.of(name)]
    first = next(iter(seen.layers.values())).emitted
    return Diagnosis(tuple(found), len(first), first.shape[1], seen.warm_up)
