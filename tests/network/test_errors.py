"""What users may get wrong, and what the message must say."""

import numpy as np
import pytest
import torch

from neurotorch.connections import Connection
from neurotorch.network import Forcing, Layer, Network, Observation, forecast, simulate
from neurotorch.neurons import LIF, Calcium, FiringRate

NAN = torch.tensor(torch.nan)


def rate(neurons=4, **options):
    return Layer(FiringRate(0.1), neurons, **options)


def single(**options):
    return Network({"cortex": rate(recurrent=Connection(4, 4))}, dt=0.02, **options)


def driven():
    return Network({"cortex": rate(inputs=Connection(3, 4))}, dt=0.02)


def pair(**options):
    return Network({"cortex": rate(), "readout": rate(2, inputs=Connection(4, 2))}, dt=0.02, **options)


def forced(target, strength):
    return single()(None, forcing=Forcing(target, strength))


BUILDING = {
    "no layers": (lambda: Network({}, dt=0.02), "at least one layer"),
    "dt of zero": (lambda: Network({"a": rate()}, dt=0.0), r"`dt` is 0 s"),
    "dt not finite": (lambda: Network({"a": rate()}, dt=float("inf")), r"`dt` is inf s"),
    "dt longer than a time constant": (
        lambda: Network({"a": rate()}, dt=0.2),
        r"`dt` is 0.2 s, but a time constant of layer 'a' is 0.1 s.*use dt <= 0.1",
    ),
    "dt longer than a time constant of the instrument": (
        lambda: single(observation=Observation(FiringRate(0.01))),
        r"`dt` is 0.02 s, but a time constant of the instrument is 0.01 s.*use dt <= 0.01",
    ),
    "layer without a name": (lambda: Network({"": rate()}, dt=0.02), r"named '', but a name is not empty"),
    "layer with a dot in its name": (lambda: Network({"a.b": rate()}, dt=0.02), r"named 'a.b'.*divide the addresses"),
    "layer with an arrow in its name": (lambda: Network({"a -> b": rate()}, dt=0.02), r"named 'a -> b'.*divide"),
    "layer with a name of torch's": (lambda: Network({"values": rate()}, dt=0.02), r"named 'values'.*another one"),
    "no neurons": (lambda: rate(0), r"`neurons` is 0"),
    "recurrent of another size": (lambda: rate(recurrent=Connection(3, 4)), r"goes from 3 to 4 .*Connection\(4, 4\)"),
    "inputs of another size": (lambda: rate(inputs=Connection(3, 5)), r"ends on 5 neurons, but the layer has 4"),
    "second layer without inputs": (
        lambda: Network({"a": rate(), "b": rate(2)}, dt=0.02),
        r"'b' follows 'a': give it `inputs=Connection\(4, 2\)`",
    ),
    "second layer with inputs of another size": (
        lambda: Network({"a": rate(), "b": rate(2, inputs=Connection(3, 2))}, dt=0.02),
        r"'b' follows 'a': give it `inputs=Connection\(4, 2\)`",
    ),
    "feedback without an arrow": (lambda: pair(feedback={"readout": Connection(2, 4)}), "reads 'source -> target'"),
    "feedback from nowhere": (
        lambda: pair(feedback={"readuot -> cortex": Connection(2, 4)}),
        r"no layer 'readuot'.*Did you mean 'readout'\?",
    ),
    "feedback forwards": (lambda: pair(feedback={"cortex -> readout": Connection(4, 2)}), "runs forwards"),
    "feedback of another size": (
        lambda: pair(feedback={"readout -> cortex": Connection(4, 2)}),
        r"needs Connection\(2, 4\), but it is \(4, 2\)",
    ),
    "gain of another length": (
        lambda: single(observation=Observation(gain=torch.ones(3))),
        r"`gain` has 3 values.*4 neurons",
    ),
    "instrument of another length": (
        lambda: single(observation=Observation(Calcium(torch.ones(3)))),
        r"`tau` has 3 values.*4 neurons",
    ),
    "gain of zero": (lambda: Observation(gain=0.0), r"`gain` holds 0"),
    "no steps in a frame": (lambda: Observation(steps_per_frame=0), r"`steps_per_frame` is 0"),
}

RUNNING = {
    "no length": (lambda: single()(None), "How many frames"),
    "two lengths": (
        lambda: single()(torch.zeros(5, 2, 4), frames=6),
        r"`inputs` \(5, 2, 4\) and frames=6 must state one",
    ),
    "inputs without a batch": (lambda: single()(torch.zeros(5, 4)), r"`inputs` is \(5, 4\)"),
    "no frames": (lambda: single()(None, frames=0), "`frames` is 0, but it must be at least 1"),
    "inputs of another width": (lambda: driven()(torch.zeros(5, 2, 7)), r"Inputs have 7 channels, but .* takes 3"),
    "currents of another width": (
        lambda: single()(torch.zeros(5, 2, 3)),
        r"Inputs have 3 channels.*`inputs=Connection\(3, 4\)`",
    ),
    "dt of a layer longer than a time constant": (
        lambda: rate()(torch.zeros(5, 2, 4), dt=0.2),
        r"`dt` is 0.2 s, but a time constant of the layer is 0.1 s.*use dt <= 0.1",
    ),
    "inputs not finite": (
        lambda: driven()(torch.zeros(5, 2, 3).index_put((torch.tensor(3), torch.tensor(1), torch.tensor(2)), NAN)),
        r"`inputs` holds 1 NaN or infinite values, the first in frame 3 \(sample 1, channel 2\)",
    ),
    # an infinite current makes a spike like any other, so that the activity would not tell
    "infinite inputs of spiking neurons": (
        lambda: Network({"a": Layer(LIF(), 4)}, dt=0.001)(torch.full((5, 2, 4), torch.inf)),
        r"`inputs` holds 40 NaN or infinite values, the first in frame 0",
    ),
    "layer without a batch": (lambda: rate()(torch.zeros(5, 4), dt=0.02), r"Inputs are \(5, 4\)"),
    "state of another batch": (
        lambda: single()(torch.zeros(5, 2, 4), single().initial_state(3)),
        r"batch sizes .* differ: \[2, 3\]",
    ),
    "state of another batch in a layer": (
        lambda: rate()(torch.zeros(5, 2, 4), rate().initial_state(1, torch.zeros(4)), dt=0.02),
        r"is \(1, 4\), but \(batch, neuron\) is \(2, 4\)",
    ),
    "state of another network": (
        lambda: single()(None, pair().initial_state(1), frames=3),
        "2 layers, but the network has 1",
    ),
    "target of another width": (
        lambda: forced(torch.zeros(5, 2, 3), torch.ones(5)),
        r"target is \(5, 2, 3\), but \(frame, batch, neuron\) is \(5, batch, 4\)",
    ),
    "target without a batch": (lambda: forced(torch.zeros(5, 4), torch.ones(5)), r"`forcing.target` is \(5, 4\)"),
    "target not finite": (lambda: forced(torch.full((5, 2, 4), torch.nan), torch.ones(5)), "forcing.target"),
    "strength of another length": (lambda: forced(torch.zeros(5, 2, 4), torch.ones(4)), r"strength is \(4,\)"),
    "strength above one": (lambda: forced(torch.zeros(5, 2, 4), torch.full((5,), 1.5)), r"lie in 0\.\.1"),
    "target of another length": (
        lambda: single()(torch.zeros(4, 2, 4), forcing=Forcing.full(torch.zeros(5, 2, 4))),
        r"`inputs` \(4, 2, 4\), `forcing.target` \(5, 2, 4\)",
    ),
    "misspelt weight": (
        lambda: single()(None, frames=3, weights={"cortex.recurent": torch.zeros(4, 4)}),
        r"no weight 'cortex.recurent'.*Did you mean 'cortex.recurrent'\?",
    ),
    "weight of another shape": (
        lambda: single()(None, frames=3, weights={"cortex.recurrent": torch.zeros(4, 3)}),
        r"'cortex.recurrent' is \(4, 3\), but \(post, pre\) is \(4, 4\)",
    ),
    "unknown quantity": (
        lambda: simulate(single(), frames=3, record=("emited",)),
        r"Cannot record 'emited'.*Did you mean 'emitted'\?",
    ),
    "noise without a generator": (lambda: simulate(single(), frames=3, noise=0.1), "needs a `generator`"),
    "noise of a misspelt layer": (
        lambda: single().run(None, frames=3, noise={"cortxe": torch.zeros(3, 1, 4)}),
        r"`noise` names no layer 'cortxe'.*Did you mean 'cortex'\?",
    ),
    "noise of another length": (
        lambda: single().run(None, frames=3, noise={"cortex": torch.zeros(2, 1, 4)}),
        r"`noise\['cortex'\]` is \(2, 1, 4\), but \(step, batch, neuron\) is \(3, 1, 4\)",
    ),
    "weight not finite": (
        lambda: single()(None, frames=3, weights={"cortex.recurrent": torch.full((4, 4), torch.nan)}),
        r"`weights\['cortex.recurrent'\]` holds 16 NaN",
    ),
    "forecast of nothing": (lambda: forecast(single(), torch.zeros(3, 1, 4), 0), r"`frames` is 0"),
    "forecast with too few inputs": (
        lambda: forecast(driven(), torch.zeros(3, 1, 4), 2, inputs=torch.zeros(3, 1, 3)),
        r"`inputs` has 3 frames, but 3 recent and 2 forecast frames need 5",
    ),
}

KINDS = {
    "a model in place of a layer": (
        lambda: Network({"a": FiringRate()}, dt=0.02),
        r"'a' is the neuron model FiringRate.*wrap it, as in Layer\(FiringRate\(\.\.\.\), 100\)",
    ),
    "a connection in place of a layer": (
        lambda: Network({"a": Connection(4, 4)}, dt=0.02),
        "'a' is a Connection, but it must be a Layer",
    ),
    "one layer in place of a mapping": (lambda: Network(rate(), dt=0.02), "`layers` is a Layer, but it must map"),
    "a list of layers": (lambda: Network([rate()], dt=0.02), "`layers` is a list"),
    "an indicator in place of an observation": (
        lambda: single(observation=Calcium(1.0)),
        r"`observation` is Calcium.*an Observation object such as `Observation\(Calcium\(1.0\)\)`",
    ),
    "a class in place of an instrument": (lambda: Observation(Calcium), "the class Calcium, not an object of it"),
    "a word for a learned start": (lambda: single(learned_start="yes"), "`learned_start` is 'yes'"),
    "a word for a connection": (lambda: rate(recurrent="dense"), "`recurrent` is 'dense'"),
    "a class for a model": (lambda: Layer(FiringRate, 4), "the class FiringRate, not an object of it"),
    "a connection for gap junctions": (lambda: rate(electrical=Connection(4, 4)), "must be an ElectricalConnection"),
    "a word for feedback": (lambda: pair(feedback={"readout -> cortex": "x"}), "is 'x', but it must be a Connection"),
    "numpy's arrays as inputs": (lambda: driven()(np.zeros((5, 2, 3))), r"`inputs` is array.*torch.zeros"),
    "half a frame": (lambda: single()(None, frames=2.5), "`frames` is 2.5, but it must be a whole number"),
    "a tensor for a state": (lambda: single()(None, torch.zeros(1, 4), frames=2), r"network.initial_state\(batch\)"),
    "a tensor for weights": (lambda: single()(None, frames=2, weights=torch.ones(4, 4)), "`weights` is tensor"),
    "a target for forcing": (lambda: single()(None, forcing=torch.zeros(3, 1, 4)), "must be a Forcing object"),
    "a seed for a generator": (lambda: simulate(single(), frames=3, noise=0.1, generator=3), "`generator` is 3"),
    "a text for a network": (lambda: simulate("x", frames=3), "`network` is 'x'"),
    "a name that is no text": (lambda: Network({3: rate()}, dt=0.02), "A layer is named 3, but names are text"),
}

DTYPES = {
    "inputs": lambda: driven()(torch.zeros(5, 2, 3, dtype=torch.float64)),
    "currents": lambda: single()(torch.zeros(5, 2, 4, dtype=torch.float64)),
    "forcing": lambda: forced(torch.zeros(5, 2, 4, dtype=torch.float64), torch.ones(5, dtype=torch.float64)),
    "weights": lambda: single()(None, frames=3, weights={"cortex.recurrent": torch.zeros(4, 4, dtype=torch.float64)}),
    "constants": lambda: Network({"a": Layer(LIF(torch.ones(4, dtype=torch.float64)), 4)}, dt=0.02)(
        torch.zeros(5, 2, 4)
    ),
    "state": lambda: single()(None, single().double().initial_state(1), frames=3),
}


@pytest.mark.parametrize("case", BUILDING)
def test_a_network_that_cannot_be_is_refused_when_it_is_built(case):
    build, message = BUILDING[case]
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("case", KINDS)
def test_what_is_of_the_wrong_kind_is_refused(case):
    build, message = KINDS[case]
    with pytest.raises(TypeError, match=message):
        build()


@pytest.mark.parametrize("case", RUNNING)
def test_a_run_that_cannot_be_is_refused(case):
    run, message = RUNNING[case]
    with pytest.raises(ValueError, match=message):
        run()


@pytest.mark.parametrize("case", DTYPES)
def test_mixed_dtypes_are_refused_with_both_their_names(case):
    with pytest.raises(TypeError, match=r"float64.*float32|float32.*float64"):
        DTYPES[case]()


def test_a_spiking_layer_with_a_weight_that_is_nan_is_not_merely_silent():
    network = Network({"cortex": Layer(LIF(), 4, recurrent=Connection(4, 4))}, dt=0.001)
    with torch.no_grad():
        network.layers["cortex"].recurrent.raw[1, 2] = torch.nan
    with pytest.raises(FloatingPointError, match=r"'cortex' ended in a state with NaN \(sample 0, neuron 1\)"):
        network(torch.ones(5, 1, 4))
