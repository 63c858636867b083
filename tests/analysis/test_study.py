"""Ablation studies: the table says what was removed, every row can be made again, the network is untouched."""

import math

import pytest
import torch
from torch import nn

from neurotorch.analysis import Ablation, AblationStudy, count_connections, random, strongest, weakest


class Network(nn.Module):
    """The least that a study needs: parameters, and effective weights made from them."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.recurrent = nn.Parameter(torch.randn(6, 6, generator=generator))
        self.inputs = nn.Parameter(torch.randn(6, 3, generator=generator))

    def effective_weights(self):
        no_self = ~torch.eye(6, dtype=torch.bool)
        return {
            "cortex.recurrent": torch.where(no_self, self.recurrent**2, 0.0),
            "cortex.inputs": self.inputs.clone(),
        }


def total(weights) -> float:
    return float(sum(weight.abs().sum() for weight in weights.values()))


@pytest.fixture
def network():
    return Network()


def test_the_table_has_a_row_per_lesion_and_repeats_only_what_is_random(network):
    study = AblationStudy(network, total)
    table = study.run([weakest, random], [0.0, 0.25, 1.0], repeats=3)
    assert list(table.columns) == ["strategy", "repeat", "fraction", "removed", "connections", "metric"]
    assert table.groupby(["strategy", "repeat"]).size().to_dict() == {
        ("weakest", 0): 3, ("random", 0): 3, ("random", 1): 3, ("random", 2): 3,
    }  # fmt: skip
    assert (table["connections"] == 30 + 18).all()
    assert table["removed"].tolist() == [0, 12, 48] * 4
    intact = total(study.weights())
    assert (table.loc[table["fraction"] == 0, "metric"] == intact).all()
    assert (table.loc[table["fraction"] == 1, "metric"] == 0).all()
    middle = table[table["fraction"] == 0.25].set_index("strategy")["metric"]
    assert (middle["random"] < middle["weakest"]).all()
    assert middle["random"].nunique() == 3, "repeats are independent"


def test_parameters_are_bit_identical_after_a_study(network):
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    AblationStudy(network, total).run([weakest, strongest, random], [0.3, 1.0], repeats=2)
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor.view(torch.int32), before[name].view(torch.int32))


def test_every_row_can_be_made_again_alone(network):
    study = AblationStudy(network, total)
    table = study.run([random, weakest], [0.1, 0.5], repeats=3, seed=11)
    for row in table.itertuples():
        ablation = {"random": random, "weakest": weakest}[row.strategy]
        weights = study.lesioned(ablation, row.fraction, repeat=row.repeat, seed=11)
        assert total(weights) == row.metric
        assert count_connections(study.weights()) - count_connections(weights) == row.removed
    # nor does a row depend on what else was run
    alone = study.run([random], [0.5], repeats=3, seed=11)
    together = table[(table["strategy"] == "random") & (table["fraction"] == 0.5)]
    assert alone["metric"].tolist() == together["metric"].tolist()


def test_another_seed_draws_other_lesions(network):
    study = AblationStudy(network, total)
    first, again, other = (study.run([random], [0.5], seed=seed)["metric"].item() for seed in (0, 0, 1))
    assert first == again != other


def test_only_the_chosen_addresses_are_lesioned_and_handed_to_the_metric(network):
    seen = []

    def metric(weights):
        seen.append(dict(weights))
        return 0.0

    table = AblationStudy(network, metric, addresses=["cortex.inputs"]).run([strongest], [0.5])
    assert [list(weights) for weights in seen] == [["cortex.inputs"]]
    assert table["connections"].item() == 18
    assert table["removed"].item() == 9


def test_a_metric_may_return_several_numbers(network):
    table = AblationStudy(network, lambda weights: {"r2": 0.5, "p_var": math.nan}).run([weakest], [0.0, 1.0])
    assert table["r2"].tolist() == [0.5, 0.5]
    assert table["p_var"].isna().all(), "a value that is not there stays visible"


def test_provenance_travels_with_the_table(network):
    attrs = AblationStudy(network, total).run([weakest], [0.5], seed=4).attrs
    assert attrs["seed"] == 4
    assert attrs["repeats"] == 1
    assert attrs["addresses"] == ["cortex.recurrent", "cortex.inputs"]
    assert attrs["versions"]["torch"] == torch.__version__
    assert {"neurotorch", "numpy", "pandas", "python"} < set(attrs["versions"])


def test_progress_wraps_the_rows(network):
    seen = []

    def progress(rows):
        for row in rows:
            seen.append((row.ablation.name, row.repeat, row.fraction))
            yield row

    AblationStudy(network, total).run([weakest, random], [0.0, 1.0], repeats=2, progress=progress)
    assert seen == [
        ("weakest", 0, 0.0), ("weakest", 0, 1.0), ("random", 0, 0.0), ("random", 0, 1.0), ("random", 1, 0.0),
        ("random", 1, 1.0),
    ]  # fmt: skip


def test_a_metric_that_trains_the_network_is_found_out(network):
    def metric(weights):
        with torch.no_grad():
            network.inputs += 1
        return 0.0

    with pytest.raises(RuntimeError, match=r"'cortex\.inputs' changed while the study ran"):
        AblationStudy(network, metric).run([weakest], [0.5])


def test_a_metric_whose_names_change_is_refused(network):
    names = iter(["a", "b"])
    with pytest.raises(ValueError, match=r"returned the names \['b'\] after \['a'\]"):
        AblationStudy(network, lambda weights: {next(names): 0.0}).run([weakest], [0.0, 1.0])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda n: AblationStudy(n, total, addresses=["cortex.recurent"]),
            ValueError,
            r"'cortex\.recurent'.*'cortex\.recurrent', 'cortex\.inputs'\. Did you mean 'cortex\.recurrent'",
        ),
        (lambda n: AblationStudy(n, total, addresses="cortex.inputs"), TypeError, r"\['cortex\.inputs'\]"),
        (lambda n: AblationStudy(n, total, addresses=[]), ValueError, r"no connections to lesion"),
        (lambda n: AblationStudy(n, total).run(["weakest"], [0.5]), TypeError, r"'weakest'.*`ablation_named\(name\)`"),
        (lambda n: AblationStudy(n, total).run([], [0.5]), ValueError, r"at least one"),
        (lambda n: AblationStudy(n, total).run([weakest, weakest], [0.5]), ValueError, r"\['weakest', 'weakest'\]"),
        (lambda n: AblationStudy(n, total).run([weakest], []), ValueError, r"`fractions` is empty"),
        (lambda n: AblationStudy(n, total).run([weakest], [0.5, 50]), ValueError, r"`fractions\[1\]` is 50"),
        (lambda n: AblationStudy(n, total).run([weakest], [0.5], repeats=0), ValueError, r"`repeats` is 0"),
        (
            lambda n: AblationStudy(n, lambda w: {"removed": 1.0}).run([weakest], [0.5]),
            ValueError,
            r"\['removed'\].*rename",
        ),
        (
            lambda n: AblationStudy(n, total).run([Ablation("none", lambda w, f, g: {})], [0.5]),
            ValueError,
            r"'none'.*returned \{\}",
        ),
    ],
)
def test_bad_input_says_what_came_and_what_to_do(network, make, error, message):
    with pytest.raises(error, match=message):
        make(network)
