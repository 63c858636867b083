"""Lesions by the names of regions: the block, all of it, and nothing else."""

import pytest
import torch

from neurotorch.analysis import AblationStudy, pathway, strongest, weakest
from neurotorch.connections import Connection, Regions
from neurotorch.network import Layer, Network
from neurotorch.neurons import FiringRate

REGIONS = Regions.of_labels(["tectum", "hindbrain", "tectum", None, "hindbrain", "tectum"])
ADDRESS = "brain.recurrent"


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def weights():
    return {ADDRESS: torch.randn(6, 6, generator=generator(1)), "brain.inputs": torch.ones(6, 2)}


def test_a_whole_pathway_is_cut_and_nothing_else():
    intact = weights()
    cut = pathway(REGIONS, "tectum -> hindbrain", address=ADDRESS)(intact, 1.0, generator=generator())
    expected = intact[ADDRESS].clone()
    expected[torch.tensor([[1], [4]]), torch.tensor([0, 2, 5])] = 0
    assert torch.equal(cut[ADDRESS], expected)
    assert torch.equal(cut["brain.inputs"], intact["brain.inputs"])


def test_the_fraction_is_that_of_the_pathway_and_the_order_is_kept():
    intact = weights()
    block = REGIONS.block("tectum -> tectum", "hindbrain -> hindbrain")
    for order in (weakest, strongest):
        ablation = pathway(REGIONS, "tectum -> tectum", "hindbrain -> hindbrain", address=ADDRESS, order=order)
        assert not ablation.stochastic
        lesioned = ablation(intact, 0.4)[ADDRESS]
        gone = (lesioned == 0) & block
        assert int(gone.sum()) == round(0.4 * 13)
        assert torch.equal(lesioned[~block], intact[ADDRESS][~block])
        sizes = intact[ADDRESS].abs()
        if order is weakest:
            assert sizes[gone].max() <= sizes[block & ~gone].min()
        else:
            assert sizes[gone].min() >= sizes[block & ~gone].max()


def test_a_study_takes_pathways_by_name():
    recurrent = Connection(6, 6, generator=generator(2))
    network = Network({"brain": Layer(FiringRate(0.2), 6, recurrent=recurrent)}, dt=0.1)
    study = AblationStudy(network, lambda w: float(w[ADDRESS].abs().sum()))
    paths = [pathway(REGIONS, f"tectum -> {to}", address=ADDRESS) for to in ("hindbrain", "*")]
    table = study.run(paths, [0.0, 1.0])
    assert table["strategy"].unique().tolist() == ["tectum -> hindbrain (random)", "tectum -> * (random)"]
    assert table["removed"].tolist() == [0, 6, 0, 18]
    assert (table["connections"] == 36).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pathway(REGIONS, "tectm -> hindbrain", address=ADDRESS), "no region 'tectm'.*mean 'tectum'"),
        (lambda: pathway(REGIONS, address=ADDRESS), "No block is named"),
        (
            lambda: pathway(REGIONS, "* -> *", address="brain.recurent")(weights(), 1.0, generator=generator()),
            "at 'brain.recurent'.*mean 'brain.recurrent'",
        ),
        (
            lambda: pathway(REGIONS, "* -> *", address="brain.inputs")(weights(), 1.0, generator=generator()),
            r"of 6 neurons.*\(6, 2\)",
        ),
    ],
)
def test_bad_input_says_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        make()
