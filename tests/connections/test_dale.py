"""Dale's law: types, the map and its inverse, and errors that name the neurons."""

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurotorch.connections import FLY_TRANSMITTERS, Connection, Dale, Softplus, Square
from neurotorch.core.config import build, describe
from neurotorch.network import Layer, Network
from neurotorch.neurons import FiringRate


@given(neurons=st.integers(1, 200), excitatory=st.floats(0, 1), seed=st.integers(0, 99))
def test_a_fraction_gives_exact_counts_however_shuffled(neurons, excitatory, seed):
    ordered = Dale.fraction(neurons, excitatory)
    shuffled = Dale.fraction(neurons, excitatory, generator=torch.Generator().manual_seed(seed))
    count = round(neurons * excitatory)
    assert ordered.signs.tolist() == [1.0] * count + [-1.0] * (neurons - count)
    assert sorted(shuffled.signs.tolist()) == sorted(ordered.signs.tolist())


def test_a_generator_shuffles_and_reproduces():
    first, second = (Dale.fraction(50, generator=torch.Generator().manual_seed(7)).signs for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, Dale.fraction(50).signs)


def test_transmitters_give_signs():
    dale = Dale.from_transmitters(["GABA", " acetylcholine", "Glutamate", "glycine"])
    assert dale.signs.tolist() == [-1, 1, 1, -1]
    worm = Dale.from_transmitters(["glutamate", "dopamine"], table={"Glutamate": -1}, unknown=0)
    assert worm.signs.tolist() == [-1, 0]


def test_the_fly_has_a_table_of_its_own():
    names = ["acetylcholine", "GABA", "glutamate", "Histamine"]
    assert Dale.from_transmitters(names, table=FLY_TRANSMITTERS).signs.tolist() == [1, -1, -1, -1]
    assert Dale.from_transmitters(names[:3]).signs.tolist() == [1, -1, 1]


def test_some_types_are_known_and_the_rest_free():
    dale = Dale.given(["Excitatory", " inh ", None, -1, "e", "unknown", 0, "", 1], magnitude=Softplus())
    assert dale.signs.tolist() == [1, -1, 0, -1, 1, 0, 0, 0, 1]
    assert dale.magnitude == Softplus()
    named = Dale.given({"RMDL": "inhibitory", "AVAL": 1}, neurons=["AVAL", "AVBL", "RMDL"])
    assert named.signs.tolist() == [1, 0, -1]
    assert Dale.given({"3": "i"}, neurons=5).signs.tolist() == [0, 0, 0, -1, 0]


def two_targets(seed=0):
    """Return a recurrent layer and a readout that share the types of the layer's neurons, one of them free."""
    generator, dale = torch.Generator().manual_seed(seed), Dale.given(["e", "i", "e", None, "i", "e"])
    cortex = Layer(FiringRate(0.2), 6, recurrent=Connection(6, 6, dale=dale, generator=generator), bias=0.5)
    readout = Layer(FiringRate(0.2), 3, inputs=Connection(6, 3, dale=dale, generator=generator))
    return Network({"cortex": cortex, "readout": readout}, dt=0.1)


def test_one_neuron_has_one_type_everywhere_it_projects():
    network = two_targets()
    before = {address: weight.detach() for address, weight in network.effective_weights().items()}
    optimizer = torch.optim.Adam(network.parameters(), lr=0.3, weight_decay=0.1)
    target = torch.randn(12, 2, 3, generator=torch.Generator().manual_seed(1))
    for _ in range(10):
        optimizer.zero_grad()
        ((network(None, network.initial_state(2), frames=12)[0] - target) ** 2).mean().backward()
        optimizer.step()
    weights = network.effective_weights()
    assert all(not torch.equal(before[address], weight) for address, weight in weights.items())
    signs = torch.tensor([1.0, -1, 1, 0, -1, 1])
    for weight in weights.values():
        assert (weight * signs >= 0).all()
    # a change of type is one of both connections, and a copy or a rebuilt network has a type of its own to change
    described = build(describe(network), tensors=network.state_dict())
    for each in (network, copy.deepcopy(network), described, copy.deepcopy(network).double()):
        assert each.layers["cortex"].recurrent.dale is each.layers["readout"].inputs.dale
        each.layers["cortex"].recurrent.dale.signs[0] = -1
        assert (each.layers["readout"].inputs.weight()[:, 0] <= 0).all()
    assert two_targets().layers["readout"].inputs.dale.signs[0] == 1


def test_free_neurons_carry_their_weight_themselves():
    dale = Dale([1, -1, 0], magnitude=Softplus())
    raw = torch.tensor([[-2.0, -2.0, -2.0], [3.0, 3.0, 0.0]])
    weight = dale.effective(raw)
    assert torch.equal(weight.sign(), torch.tensor([[1.0, -1, -1], [1, -1, 0]]))
    assert torch.equal(weight[:, 2], raw[:, 2])
    # a zero of a free neuron is no zero of the map
    torch.testing.assert_close(dale.raw(weight), raw)


def test_violations_count_entries_of_the_wrong_sign_only():
    dale = Dale([1, -1, 0])
    weight = torch.tensor([[-1.0, 1.0, 5.0], [0.0, -2.0, -5.0], [1.0, 1e-45, 0.0]])
    assert dale.violations(weight) == 3
    assert dale.violations(dale.effective(torch.randn(100, 3))) == 0


def test_signs_are_a_buffer_that_is_never_trained():
    signs = torch.tensor([1.0, -1.0], requires_grad=True)
    dale = Dale(signs)
    assert list(dale.parameters()) == []
    assert list(dale.state_dict()) == ["signs"]
    assert not dale.signs.requires_grad
    dale.signs[0] = -1
    assert signs[0] == 1, "the caller's tensor is copied"


def test_it_survives_copying_pickling_casting_and_saving():
    dale = Dale([1, -1, 0], magnitude=Softplus())
    restored = Dale([0, 0, 0])
    restored.load_state_dict(dale.state_dict())
    for other in (copy.deepcopy(dale), pickle.loads(pickle.dumps(dale)), copy.deepcopy(dale).double(), restored):  # noqa: S301
        assert other.signs.tolist() == [1, -1, 0]
    assert copy.deepcopy(dale).half().effective(torch.ones(2, 3)).dtype == torch.float32


def test_it_describes_itself():
    assert repr(Dale([1, 1, -1, 0])) == "Dale(excitatory=2, inhibitory=1, free=1, magnitude=Square())"


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: Dale([]), ValueError, r"`signs` has shape \(0,\)"),
        (lambda: Dale(torch.ones(2, 2)), ValueError, r"`signs` has shape \(2, 2\)"),
        (lambda: Dale([1, 2, -3]), ValueError, r"2 values other than -1, 0 and \+1, the first at neuron 1 \(2\).*sign"),
        (lambda: Dale([1, float("nan")]), ValueError, r"neuron 1 \(nan\): give neurons of unknown type the sign 0"),
        (lambda: Dale([1], magnitude=Square), TypeError, r"`Square\(\)`"),
        (lambda: Dale([1], magnitude="square"), TypeError, r"'square'"),
        (lambda: Dale.fraction(10, 1.2), ValueError, r"`excitatory` is 1.2"),
        (lambda: Dale.fraction(0), ValueError, r"`neurons` is 0"),
        (lambda: Dale.given("exc"), TypeError, r"one type per neuron: \['exc'\]"),
        (lambda: Dale.given({"a": 1}), TypeError, r"give `neurons`"),
        (lambda: Dale.given(["e", "inhibitry"]), ValueError, r"neuron 1 'inhibitry'.*mean 'inhibitory'\?"),
        (lambda: Dale.given(["GABA"]), ValueError, r"neuron 0 'GABA'.*`Dale.from_transmitters`"),
        (lambda: Dale.given([1, 2]), ValueError, r"neuron 1 the sign 2, but a sign is -1, 0 \(free\) or 1"),
        (lambda: Dale.given(["e"], neurons=["a", "b"]), ValueError, r"holds 1 types, but there are 2 neurons"),
        (lambda: Dale.given({"a": 1}, neurons=["a", "a"]), ValueError, r"\['a'\] more than once"),
        (
            lambda: Dale.given({"aval": 1, "XYZ": 1}, neurons=["AVAL", "AVBL"]),
            ValueError,
            r"2 of the 2 names.*'aval' \(nearest: 'AVAL'\), 'XYZ' \(nothing near\)\. `types` begins 'aval', 'XYZ'; "
            r"`neurons` begins 'AVAL', 'AVBL'",
        ),
        (lambda: Dale.from_transmitters("gaba"), TypeError, r"one transmitter per neuron: \['gaba'\]"),
        (
            lambda: Dale.from_transmitters(["gaba", "glutamat", "Dopamine", "dopamine"]),
            ValueError,
            r"'dopamine', 'glutamat'\. Did you mean 'glutamate'\? Known are acetylcholine.*unknown=0",
        ),
        (lambda: Dale.from_transmitters(["x"], unknown=3), ValueError, r"`unknown` is 3, but a sign is"),
        (lambda: Dale.from_transmitters(["x"], table={"x": 2}), ValueError, r"`table` gives 'x' the sign 2, but"),
        (lambda: Dale.from_transmitters({"AVAL": "gaba"}), TypeError, r"`names` is a mapping.*in their order"),
        (lambda: Dale.from_transmitters([]), ValueError, r"`signs` has shape \(0,\)"),
        (lambda: Dale(["e", "i"]), TypeError, r"`signs` is \['e', 'i'\].*words for types go to `Dale.given`"),
        (lambda: Dale(None), TypeError, r"`signs` is None, but it must hold the numbers"),
        (lambda: Dale([True, False]), TypeError, r"`signs` is \[True, False\]"),
        (lambda: Dale(torch.ones(2, dtype=torch.complex64)), TypeError, r"must hold the numbers"),
        (lambda: Dale(1), ValueError, r"`signs` has shape \(\)"),
        (lambda: Dale.fraction(10, -0.1), ValueError, r"`excitatory` is -0.1, but a fraction lies in 0..1"),
        (lambda: Dale.fraction(10, float("nan")), ValueError, r"`excitatory` is nan"),
        (lambda: Dale.given({"a": 1}, neurons="ab"), TypeError, r"`neurons` is the text 'ab'"),
        (lambda: Dale.given([float("nan")]), ValueError, r"neuron 0 the sign nan"),
        (lambda: Connection(4, 3, dale=Dale([1, -1, 1])), ValueError, r"3 presynaptic neurons.*`pre=4`.*with 4 signs"),
        (lambda: Dale([1, -1]).effective(torch.ones(2, 3)), ValueError, r"`raw` has shape \(2, 3\).*2 presynaptic"),
        (lambda: Dale([1, -1]).violations(torch.ones(3)), ValueError, r"`weight` has shape \(3,\).*\(post, pre\)"),
        (lambda: Dale([1]).raw(torch.tensor([[float("inf")]])), ValueError, r"`weight` holds 1 NaN or infinite"),
        (
            lambda: Dale([1, -1, 1]).raw(torch.tensor([[1.0, 1, -1], [1, 1, 1]])),
            ValueError,
            r"at 3 entries.*\(columns\) 1 \(inhibitory, 2 wrong\), 2 \(excitatory, 1 wrong\): change",
        ),
        (lambda: Dale.fraction(20, 1).raw(-torch.ones(1, 20)), ValueError, r"7 \(excitatory, 1 wrong\) and 12 more"),
        (lambda: Dale([1], magnitude=Softplus()).raw(torch.zeros(1, 1)), ValueError, r"Softplus\(\) has no zero.*mask"),
    ],
)
def test_bad_input_says_what_came_and_what_to_do(build, error, message):
    with pytest.raises(error, match=message):
        build()
