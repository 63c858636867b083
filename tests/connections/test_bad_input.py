"""What users may hand to connections by mistake: one error, which names what came and what was expected."""

import numpy as np
import pytest
import torch

from neurotorch.connections import (
    Balanced,
    Connection,
    Connectome,
    Dale,
    ElectricalConnection,
    Given,
    Projected,
    Regions,
    Square,
    conduction_delays,
    distance_dependent,
    harden_types,
    no_self,
    rebalanced,
    rewire_,
    shuffle_degrees,
    sparse,
    spectrum_report,
    without_input,
)
from neurotorch.training import DeepR, TypeHardening
from tests.refusals import refused

NAMES = ["AVAL", "AVBL"]
TABLE = [[0, 4], [3, 0]]
PLACES = torch.rand(3, 2)


def connectome(table=TABLE, names=NAMES, **options):
    return Connectome.from_adjacency(table, names, rows="pre", **options)


def regions():
    return Regions.of_labels(["tectum", "tectum", "hindbrain", None])


def rewirable():
    return Connection(3, 3, mask=no_self(3), dale=Dale.fraction(3, magnitude=Projected()))


TYPES = {
    "a seed for a generator": (lambda: Dale.fraction(9, generator=0), r"`generator` is 0.*a Generator object"),
    "numpy's generator": (
        lambda: sparse(3, 3, density=0.1, generator=np.random.default_rng(0)),
        "`generator`.*Generator",
    ),
    "a seed for a connection": (
        lambda: Connection(3, 3, init=Given(torch.ones(3, 3)), generator=1),
        "`generator` is 1",
    ),
    "a seed for blocks": (lambda: regions().sparse({"tectum -> *": 0.5}, generator=4), "`generator` is 4"),
    "a seed for rewiring": (lambda: rewire_(rewirable(), within=no_self(3), generator=0), "`generator` is 0"),
    "a seed for distances": (lambda: distance_dependent(PLACES, length=1.0, generator=3), "`generator` is 3"),
    "a text for a fraction": (lambda: Dale.fraction(9, "0.8"), r"`excitatory` is '0\.8', but it must be a number"),
    "a truth for a fraction": (lambda: sparse(3, 3, density=True), "`density` is True, but it must be a number"),
    "a class for a map": (lambda: Dale([1, -1], magnitude=Square), "the class Square, not an object.*`Square\\(\\)`"),
    "a word for a map": (lambda: ElectricalConnection(3, magnitude="square"), "`magnitude` is 'square'"),
    "a word for an inference": (lambda: Dale([1, -1], inference="x"), "`inference` is 'x'"),
    "a number for types": (lambda: Dale.given(7), "`types` is 7"),
    "a word for a table": (lambda: Dale.from_transmitters(["GABA"], table="fly"), "`table` is 'fly'.*`TRANSMITTERS`"),
    "a number for transmitters": (lambda: Dale.from_transmitters(5), "`names` is 5"),
    "bools for weights": (lambda: Dale.fraction(4).effective(torch.ones(4, 4).bool()), "`raw` has dtype torch.bool"),
    "a list for weights": (lambda: Dale.fraction(4).violations([[1]]), "`weight` is"),
    "a word for a mask": (lambda: Connection(3, 3, mask="sparse"), "`mask` is 'sparse', but it must be a tensor"),
    "a word for a start": (lambda: Connection(3, 3, init="balanced"), r"`init` is 'balanced'.*`Balanced\(\)`"),
    "a class for a start": (lambda: Connection(3, 3, init=Balanced), "the class Balanced, not an object"),
    "no weights for a start": (lambda: Connection(3, 3, init=Given(None)), "`weight` is None"),
    "complex weights": (lambda: Connection(3, 3).set_weight(torch.ones(3, 3).cfloat()), "complex numbers"),
    "a text for a delay": (lambda: Connection(3, 3, delay="3ms"), "`delay` is '3ms'"),
    "a text for a least delay": (lambda: conduction_delays(PLACES, velocity=1.0, least="x"), "`least` is 'x'"),
    "a text for places": (lambda: distance_dependent("xyz", length=1.0), "`coordinates` is 'xyz'"),
    "a number for a probability": (
        lambda: distance_dependent(PLACES, probability=0.5),
        "`probability` is 0.5, but it must be a function of distances",
    ),
    "words for electrical synapses": (lambda: ElectricalConnection.from_adjacency([["a"]]), "`adjacency` is"),
    "a path for a connectome": (lambda: connectome("table.csv"), "`adjacency` is 'table.csv'"),
    "complex synapses": (lambda: connectome([[0, 1j], [0, 0]]), "complex numbers"),
    "a text for names": (lambda: connectome(names="AB"), "`neurons` is 'AB', but it must list one text for each"),
    "a count for names": (lambda: connectome(names=2), "`neurons` is 2, but it must list"),
    "a text for all transmitters": (lambda: connectome(transmitters="GA"), "`transmitters` is 'GA'"),
    "transmitters by name": (lambda: connectome(transmitters={"AVAL": "GABA"}), "`transmitters` is"),
    "a text for a recording's names": (lambda: connectome().matched("AVAL"), "`neurons` is 'AVAL'"),
    "no types for weights": (lambda: connectome().weight(None), "`dale` is None"),
    "a text for a scale": (lambda: connectome().weight(Dale([1, 1]), scale="x"), "`scale` is 'x'"),
    "bools for a region": (lambda: Regions({"a": torch.tensor([True, False])}, 2), r"mask\.nonzero\(\)"),
    "fractions for a region": (lambda: Regions({"a": [0.5]}, 3), "must list the indices"),
    "a number for a region": (lambda: Regions({"a": 0}, 3), "must list the indices"),
    "a region named by a number": (lambda: Regions({1: [0]}, 3), "named 1, but names are text"),
    "a list of regions": (lambda: Regions([0, 1], 3), "`groups` is"),
    "a list for a block": (lambda: regions().block(["tectum -> tectum"]), "pass texts"),
    "a density for all blocks": (lambda: regions().sparse(0.5), "`densities` is 0.5"),
    "a text for a matrix": (lambda: shuffle_degrees("x"), "`matrix` is 'x'"),
    "no mask": (lambda: without_input(None), "`mask` is None"),
    "a text for a spectrum": (lambda: spectrum_report("x"), "`weight` is 'x'"),
    "weights for a connection": (lambda: rewire_(torch.ones(3, 3), within=no_self(3)), "a Connection object"),
    "a text for places to grow": (lambda: rewire_(rewirable(), within="x"), "`within` is 'x'"),
    "a text for a network": (lambda: harden_types("x"), "`module` is 'x'"),
    "a number for an address": (lambda: DeepR(3), "`address` is 3"),
    "a text for a drift": (lambda: DeepR("cortex.recurrent", l1="x"), "`l1` is 'x'"),
}

VALUES = {
    "a truth for a type": (lambda: Dale.given([True, False]), "the sign True"),
    "a sparse tensor": (lambda: Connection(3, 3, mask=no_self(3).to_sparse()), r"`mask\.to_dense\(\)`"),
    "a vector for a mask": (lambda: without_input(torch.ones(3)), r"shape \(3,\)"),
    "decided neurons of another number": (
        lambda: Dale.inferred(4).decide(
            torch.ones(3).bool(), torch.ones(4), lean=torch.ones(4), agreement=torch.ones(4)
        ),
        r"`neurons` is torch.bool of shape \(3,\)",
    ),
    "no electrical synapses": (lambda: ElectricalConnection.from_adjacency(torch.zeros(0, 0)), r"shape \(0, 0\)"),
    "no neurons": (lambda: connectome(torch.zeros(0, 0), []), "`neurons` is empty"),
    "a negative scale": (lambda: connectome().weight(Dale([1, 1]), scale=-1), "`scale` is -1"),
    "a scale that is no number": (lambda: connectome().weight(Dale([1, 1]), scale=float("nan")), "`scale` is nan"),
    "NaN to balance": (lambda: rebalanced(torch.full((3, 3), torch.nan)), "`weight` holds 9 NaN"),
    "whole numbers to balance": (lambda: rebalanced(torch.ones(3, 3).long()), "floating weights"),
    "a vector to balance": (lambda: rebalanced(torch.ones(3)), r"shape \(3,\)"),
    "a type that is none": (lambda: TypeHardening(at=0.5, otherwise=3), "`otherwise` is 3"),
    "a negative temperature": (lambda: DeepR("cortex.recurrent", temperature=-1), "`temperature` is -1"),
}


test_what_is_of_the_wrong_kind_is_named = refused(TypeError, TYPES)
test_what_cannot_be_is_named = refused(ValueError, VALUES)


def test_tables_of_pandas_are_connectomes():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(TABLE, index=NAMES, columns=NAMES)
    read = connectome(frame, frame.index, transmitters=pandas.Series(["GABA", "ACh"]))
    assert torch.equal(read.strength, connectome().strength)
    assert read.dale().signs.tolist() == [-1, 1]
    assert ElectricalConnection.from_adjacency(frame).weight()[0, 1].item() == pytest.approx(0.035)
