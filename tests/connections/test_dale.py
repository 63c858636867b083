"""Dale's law: types, the map and its inverse, and errors that name the neurons."""

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurotorch.connections import Dale, Softplus, Square


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
        (lambda: Dale.from_transmitters("gaba"), TypeError, r"one transmitter per neuron: \['gaba'\]"),
        (
            lambda: Dale.from_transmitters(["gaba", "glutamat", "Dopamine", "dopamine"]),
            ValueError,
            r"'dopamine', 'glutamat'\. Did you mean 'glutamate'\? Known are acetylcholine.*unknown=0",
        ),
        (lambda: Dale.from_transmitters(["x"], unknown=3), ValueError, r"values other than -1, 0 and \+1"),
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
