"""A network that is forced once forecasts what one forced anew for every origin does."""

import numpy as np
import pytest

from neurotorch.data import Recording
from neurotorch.evaluation import check_causal
from neurotorch.evaluation.network_forecaster import NetworkForecaster
from neurotorch.evaluation.running_forecaster import RunningForecaster
from neurotorch.neurons import MultiTimescaleRate, WilsonCowan
from neurotorch.runs import Blueprint


def recording(inputs=False):
    rng = np.random.default_rng(0)
    missing = np.zeros(120, dtype=bool)
    missing[50:53] = True
    shown = rng.normal(size=(120, 2)) if inputs else None
    return Recording(rng.normal(size=(120, 4)), 0.5, missing=missing, inputs=shown)


@pytest.mark.parametrize("inputs", [False, True], ids=["alone", "with inputs"])
@pytest.mark.parametrize(
    "blueprint",
    [Blueprint(MultiTimescaleRate), Blueprint(WilsonCowan), Blueprint(WilsonCowan, steps_per_frame=3)],
    ids=["multi-timescale", "Wilson-Cowan", "three steps in a frame"],
)
def test_it_forecasts_what_a_network_forced_on_the_whole_past_of_each_origin_does(blueprint, inputs):
    whole, origins = recording(inputs), np.array([0, 7, 30, 49, 60, 100, 119])
    network = blueprint.build(whole, seed=0).double()
    expected = NetworkForecaster(network, warm_up=200).forecast(whole, origins, 5)
    found = RunningForecaster(network).forecast(whole, origins, 5)
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_it_sees_no_frame_after_an_origin():
    whole = recording()
    forecaster = RunningForecaster(Blueprint().build(whole, seed=0).double())
    check_causal(forecaster, whole, origins=[5, 40, 80], steps=4)
    with pytest.raises(ValueError, match="frame 51 is missing"):
        forecaster.forecast(whole, np.array([51]), 1)
