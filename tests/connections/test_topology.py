"""Masks: exact counts, no self-connections, and neurons that they leave without input."""

import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurotorch.connections import Connection, NoInputWarning, no_self, sparse, without_input


def test_no_self_is_all_but_the_diagonal():
    mask = no_self(4)
    assert mask.dtype == torch.bool
    assert not mask.diagonal().any()
    assert int(mask.sum()) == 12


@given(
    post=st.integers(1, 20),
    pre=st.integers(1, 20),
    density=st.floats(0, 1),
    own=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_a_sparse_mask_has_the_exact_count(post, pre, density, own, seed):
    mask = sparse(post, pre, density=density, generator=torch.Generator().manual_seed(seed), self_connections=own)
    possible = post * pre - (post if post == pre and not own else 0)
    assert mask.shape == (post, pre)
    assert int(mask.sum()) == round(density * possible)
    if post == pre and not own:
        assert not mask.diagonal().any()


def test_every_place_is_equally_likely():
    generator = torch.Generator().manual_seed(0)
    counts = sum(sparse(3, 3, density=0.5, generator=generator).int() for _ in range(4000))
    off = counts[no_self(3)].double()
    # each place in half of 4,000 draws, standard deviation 32
    assert float((off - 2000).abs().max()) < 130


def test_a_mask_that_leaves_neurons_without_input_warns_naming_them():
    mask = no_self(5)
    mask[[1, 3]] = False
    assert without_input(mask) == [1, 3]
    with pytest.warns(NoInputWarning, match=r"2 of 5 postsynaptic neurons without input.*neuron 1, 3\."):
        connection = Connection(5, 5, mask=mask)
    assert not connection.weight()[[1, 3]].any()
    many = torch.zeros(30, 4, dtype=torch.bool)
    many[0] = True
    with pytest.warns(NoInputWarning, match=r"neuron 1, 2, 3, 4, 5, 6, 7, 8 and 21 more"):
        Connection(4, 30, mask=many)


def test_a_presynaptic_neuron_without_targets_and_an_empty_mask_do_not_warn():
    mask = no_self(5)
    mask[:, 2] = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Connection(5, 5, mask=mask)
        Connection(5, 5, mask=torch.zeros(5, 5, dtype=torch.bool))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: no_self(0), r"`neurons` is 0"),
        (lambda: sparse(3, 3, density=1.5), r"`density` is 1.5"),
        (lambda: sparse(0, 3, density=0.5), r"`post` is 0"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
