"""Structure from space, regions and connectomes: masks in (post, pre), and names that must match."""

import csv
import logging

import numpy as np
import pytest
import torch

from neurotorch.analysis import remove
from neurotorch.connections import Connection, Connectome, Dale, Given, Regions, distance_dependent, no_self
from neurotorch.core.config import build, describe
from neurotorch.learning import WeightDistance
from neurotorch.network import Layer, Network
from neurotorch.neurons import FiringRate


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


# distance


def test_connections_fall_off_with_distance_as_stated():
    places = torch.rand(400, 3, generator=seeded(1))
    mask = distance_dependent(places, length=0.3, generator=seeded(2)).numpy()
    x = places.double().numpy()
    distance = np.sqrt(((x[:, None] - x[None]) ** 2).sum(-1))
    chance = np.exp(-distance / 0.3)
    np.fill_diagonal(chance, 0)
    assert not mask.diagonal().any()
    for low in np.arange(0, 1.2, 0.1):
        places_in = (distance >= low) & (distance < low + 0.1) & ~np.eye(400, dtype=bool)
        expected, spread = chance[places_in].sum(), np.sqrt((chance * (1 - chance))[places_in].sum())
        assert abs(mask[places_in].sum() - expected) < 4 * spread


def test_the_mask_runs_from_sources_to_targets():
    targets, sources = torch.tensor([[0.0], [10.0]]), torch.tensor([[0.0], [10.0], [10.5]])
    mask = distance_dependent(targets, sources, probability=lambda d: (d < 1).double())
    assert mask.tolist() == [[True, False, False], [False, True, True]]
    alone = distance_dependent(sources, probability=lambda d: (d < 1).double())
    assert alone.tolist() == [[False, False, False], [False, False, True], [False, True, False]]
    own = distance_dependent(sources, probability=lambda d: (d < 1).double(), self_connections=True)
    assert torch.equal(own, alone | torch.eye(3, dtype=torch.bool))


def test_a_generator_reproduces_a_distance_mask():
    places = torch.rand(30, 2, generator=seeded())
    first, second, third = (distance_dependent(places, length=0.3, generator=seeded(s)) for s in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


# regions


def brain():
    return Regions.of_labels(["tectum", "hindbrain", "tectum", None, "hindbrain", "tectum"])


def test_a_block_runs_from_source_to_target():
    block = brain().block("tectum -> hindbrain")
    expected = torch.zeros(6, 6, dtype=torch.bool)
    for pre in (0, 2, 5):
        for post in (1, 4):
            expected[post, pre] = True
    assert torch.equal(block, expected)
    assert torch.equal(brain().block("hindbrain->tectum"), expected.T)
    both = brain().block("tectum -> hindbrain", "hindbrain -> tectum")
    assert torch.equal(both, expected | expected.T)
    assert brain().block("* -> *").all()
    assert torch.equal(brain().block("* -> tectum").any(dim=1).nonzero().flatten(), torch.tensor([0, 2, 5]))


def test_a_pathway_is_removed_by_its_name():
    dale = Dale.fraction(6, 0.5)
    mask = brain().block("tectum -> tectum", "tectum -> hindbrain", "hindbrain -> tectum", "* -> *") & no_self(6)
    layer = Layer(FiringRate(0.2), 6, recurrent=Connection(6, 6, dale=dale, mask=mask, generator=seeded()), bias=1.0)
    network = Network({"brain": layer}, dt=0.1)
    weights = network.effective_weights()
    lesioned = remove(weights, {"brain.recurrent": brain().block("tectum -> hindbrain")})["brain.recurrent"]
    before = weights["brain.recurrent"].detach()
    assert not lesioned[1, [0, 2, 5]].any()
    assert not lesioned[4, [0, 2, 5]].any()
    assert torch.equal(lesioned[[0, 2, 3, 5]], before[[0, 2, 3, 5]])
    assert torch.equal(lesioned[:, [1, 3, 4]], before[:, [1, 3, 4]])
    intact, cut = (network(None, frames=5, weights=w)[0] for w in ({}, {"brain.recurrent": lesioned}))
    assert not torch.equal(intact, cut)


def test_each_block_has_its_exact_count():
    regions = Regions({"a": range(10), "b": range(10, 30)}, 40)
    mask = regions.sparse({"a -> a": 0.5, "a -> b": 0.25, "b -> a": 0.0}, generator=seeded())
    assert int(mask[:10, :10].sum()) == 45
    assert not mask.diagonal().any()
    assert int(mask[10:30, :10].sum()) == 50
    assert int(mask.sum()) == 95
    again = regions.sparse({"a -> a": 0.5, "a -> b": 0.25, "b -> a": 0.0}, generator=seeded())
    assert torch.equal(mask, again)
    own = regions.sparse({"a -> a": 1.0}, self_connections=True)
    assert int(own.sum()) == 100


def test_regions_survive_their_description():
    assert build(describe(brain())) == brain()


# connectome

NAMES = ["AVAL", "AVBL", "RMDL"]
TABLE = np.array([[0, 3, 0], [0, 0, 1], [2, 0, 0]])  # AVAL -> AVBL -> RMDL -> AVAL


def test_a_table_is_turned_to_post_pre_and_says_so(caplog):
    with caplog.at_level(logging.INFO):
        found = Connectome.from_adjacency(TABLE, NAMES, rows="pre")
    assert found.strength[1, 0] == 3, "from AVAL (column) to AVBL (row)"
    assert torch.equal(found.mask, torch.tensor([[0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=torch.bool))
    assert "3 neurons with 3 connections; rows of the table were presynaptic: transposed to (post, pre)" in caplog.text
    same = Connectome.from_adjacency(TABLE.T, NAMES, rows="post")
    assert torch.equal(same.strength, found.strength)
    assert "rows are postsynaptic" in str(same)


def test_it_is_matched_to_the_neurons_of_a_recording():
    full = Connectome.from_adjacency(TABLE, NAMES, rows="pre", transmitters=["ACh", "dopamine", "GABA"])
    part = full.matched(["RMDL", "AVAL"])
    assert part.neurons == ("RMDL", "AVAL")
    assert part.strength.tolist() == [[0, 0], [2, 0]], "RMDL (column 0) to AVAL (row 1)"
    assert part.dale().signs.tolist() == [-1, 1]
    assert full.dale(unknown=0).signs.tolist() == [1, 0, -1]


def test_it_is_a_mask_and_a_start():
    full = Connectome.from_adjacency(TABLE, NAMES, rows="pre", transmitters=["ACh", "glutamate", "GABA"])
    dale = full.dale()
    start = full.weight(dale, scale=0.1)
    connection = Connection(3, 3, dale=dale, mask=full.mask, init=Given(start))
    torch.testing.assert_close(connection.weight().detach(), start.float(), rtol=5e-7, atol=0)
    assert start[0, 2] == pytest.approx(-0.2, rel=1e-15)
    free = full.weight(Dale([0, 0, 0]))
    assert torch.equal(free, full.strength)


def test_it_is_a_start_of_a_given_size_and_a_prior():
    full = Connectome.from_adjacency(TABLE, NAMES, rows="pre", transmitters=["ACh", "glutamate", "GABA"])
    start = full.weight(full.dale(), radius=0.8)
    assert abs(np.linalg.eigvals(start.numpy())).max() == pytest.approx(0.8, rel=1e-12)
    assert torch.equal(start.sign(), full.weight(full.dale()).sign())
    connection = Connection(3, 3, dale=full.dale(), mask=full.mask, init=Given(start))
    network = Network({"worm": Layer(FiringRate(0.2), 3, recurrent=connection)}, dt=0.1)
    away = Connectome(2 * full.strength, full.neurons).weight(full.dale(), radius=0.8)
    at_home, double = (WeightDistance({"worm.recurrent": w}, 3.0)(network, None) for w in (start, 2 * away))
    assert at_home.item() == pytest.approx(0, abs=1e-12)
    assert double.item() == pytest.approx(3.0 * 0.5 * float((start**2).sum()), rel=1e-6)


@pytest.mark.data
def test_the_worm_is_matched_under_its_own_connectome(data_folder):
    with open(data_folder / "celegans" / "herm_chem_adj.csv", encoding="utf-8-sig") as file:
        lines = list(csv.reader(file))
    columns = [name.strip() for name in lines[0][1:]]
    rows = {line[0].strip(): line[1:] for line in lines[1:]}
    names = [name for name in columns if name in rows]
    values = {name: dict(zip(columns, rows[name], strict=True)) for name in names}
    table = np.array([[float(values[pre][post] or 0) for post in names] for pre in names])
    recording = np.load(data_folder / "celegans" / "atanas2023_worm_2022-08-02-01.npz")
    neurons = [str(name) for name in recording["neuron"]]
    known = [name for name in neurons if name in names]
    matched = Connectome.from_adjacency(table, names, rows="pre").matched(known)
    # the recording carries the same connectome for its neurons, presynaptic in rows
    places = [neurons.index(name) for name in known]
    shipped = recording["chem_synapses_pre_x_post"][np.ix_(places, places)] > 0
    assert len(known) == 98
    assert np.array_equal(matched.mask.numpy(), shipped.T)
    assert not np.array_equal(shipped, shipped.T)


def empty_region():
    return Regions({"a": ()}, 3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: distance_dependent(torch.rand(3), length=1.0), ValueError, r"\(3,\), but it must be \(neuron, axis\)"),
        (lambda: distance_dependent(torch.rand(3, 2)), ValueError, "either `length` or `probability`"),
        (lambda: distance_dependent(torch.rand(3, 2), length=-1.0), ValueError, "`length` is -1"),
        (lambda: distance_dependent(torch.rand(3, 2), torch.rand(3, 3), length=1.0), ValueError, "2 axes and .* 3"),
        (lambda: distance_dependent(torch.rand(3, 2), probability=lambda d: 2 + d), ValueError, "in 0..1"),
        (lambda: distance_dependent(torch.rand(3, 2), probability=lambda d: d[0]), ValueError, "elementwise"),
        (lambda: distance_dependent(torch.full((3, 2), torch.nan), length=1.0), ValueError, "NaN or infinite"),
        (lambda: Regions({}, 3), ValueError, "`groups` is empty"),
        (empty_region, ValueError, "'a' must hold at least one neuron"),
        (lambda: Regions({"a": (0, 0)}, 3), ValueError, "each once"),
        (lambda: Regions({"a": (0, 3)}, 3), ValueError, r"holds the neurons \[3\].*from 0 to 2"),
        (lambda: Regions({"a -> b": (0,)}, 3), ValueError, "no '->'"),
        (lambda: Regions.of_labels("tectum"), TypeError, "one region per neuron"),
        (lambda: brain().block("tectum"), ValueError, "'source -> target', but one is 'tectum'"),
        (lambda: brain().block(), ValueError, "No block is named"),
        (
            lambda: brain().block("tectm -> hindbrain"),
            ValueError,
            r"'tectm'.*\['tectum', 'hindbrain'\].*mean",
        ),
        (lambda: brain().sparse({"tectum -> tectum": 1.5}), ValueError, "is 1.5"),
        (
            lambda: Connectome.from_adjacency(TABLE, NAMES[:2], rows="pre"),
            ValueError,
            r"\(3, 3\), but `neurons` names",
        ),
        (lambda: Connectome.from_adjacency(TABLE, NAMES, rows="in"), ValueError, "`rows` is 'in'"),
        (lambda: Connectome.from_adjacency(-TABLE, NAMES, rows="pre"), ValueError, "negative numbers"),
        (lambda: Connectome.from_adjacency(TABLE, ["a", "a", "b"], rows="pre"), ValueError, r"\['a'\] more than once"),
        (lambda: Connectome.from_adjacency(TABLE, NAMES, rows="pre").dale(), ValueError, "no transmitters"),
        (lambda: Connectome(TABLE, NAMES, ("GABA",)), ValueError, "`transmitters` holds 1"),
        (lambda: Connectome(TABLE, NAMES).weight(Dale([1])), ValueError, "types 1 neurons"),
        (lambda: Connectome(TABLE, NAMES).weight(Dale([1] * 3), scale=2, radius=1), ValueError, "either of them"),
        (lambda: Connectome(TABLE, NAMES).weight(Dale([1] * 3), radius=-1.0), ValueError, "`radius` is -1"),
        (lambda: Connectome(np.triu(TABLE), NAMES).weight(Dale([1] * 3), radius=1.0), ValueError, "no loop"),
        (
            lambda: Connectome(TABLE, NAMES).matched(["AVAL", "avbl", "RMDR", "???"]),
            ValueError,
            r"3 of the 4 names in `the recording` are not among the 3 in `the connectome`: 'avbl' \(nearest: 'AVBL'\), "
            r"'RMDR' \(nearest: 'RMDL'\), '\?\?\?' \(nothing near\).*begins 'AVAL'.*begins 'AVAL'",
        ),
    ],
)
def test_bad_input_says_what_came_and_what_to_do(make, error, message):
    with pytest.raises(error, match=message):
        make()
