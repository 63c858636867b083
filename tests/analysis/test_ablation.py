"""Lesions: exact counts, nothing changed in place, weakest really first."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurotorch.analysis.ablation import (
    STRATEGIES,
    Ablation,
    ablation_named,
    count_connections,
    random,
    remove,
    strongest,
    weakest,
)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@st.composite
def weights(draw):
    """Two connections with zeros and, from rounding to halves, many ties."""
    shapes = draw(st.lists(st.tuples(st.integers(1, 6), st.integers(1, 6)), min_size=2, max_size=2))
    seed = draw(st.integers(0, 10_000))
    source = generator(seed)
    return {
        f"layer{i}.recurrent": (3 * torch.randn(shape, generator=source, dtype=dtype)).round() / 2
        for i, (shape, dtype) in enumerate(zip(shapes, (torch.float32, torch.float64), strict=True))
    }


def equal(first, second) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[a], second[a]) for a in first)


def magnitudes(mapping) -> torch.Tensor:
    flat = torch.cat([w.flatten().double().abs() for w in mapping.values()])
    return flat[flat > 0]


every_strategy = pytest.mark.parametrize("ablation", STRATEGIES.values(), ids=lambda ablation: ablation.name)


@every_strategy
@given(intact=weights(), fraction=st.floats(0, 1))
def test_the_count_is_exact_and_the_input_stays_as_it_was(ablation, intact, fraction):
    before = {address: weight.clone() for address, weight in intact.items()}
    lesioned = ablation(intact, fraction, generator=generator(0))
    assert equal(intact, before)
    existing = count_connections(intact)
    assert count_connections(lesioned) == existing - round(fraction * existing)
    for address, weight in lesioned.items():
        assert weight.dtype == intact[address].dtype
        assert weight.data_ptr() != intact[address].data_ptr()
        kept = weight != 0
        assert torch.equal(weight[kept], intact[address][kept]), "what is not removed is unchanged"


@every_strategy
@given(intact=weights())
def test_no_lesion_and_a_full_lesion(ablation, intact):
    assert equal(ablation(intact, 0.0, generator=generator(0)), intact)
    assert count_connections(ablation(intact, 1.0, generator=generator(0))) == 0


@every_strategy
@given(intact=weights(), fractions=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_larger_lesions_contain_smaller_ones(ablation, intact, fractions):
    small, large = (ablation(intact, fraction, generator=generator(3)) for fraction in sorted(fractions))
    for address in intact:
        assert not ((large[address] != 0) & (small[address] == 0)).any()


@given(intact=weights(), fraction=st.floats(0, 1))
def test_what_the_weakest_lesion_leaves_is_at_least_as_strong_as_what_it_takes(intact, fraction):
    sizes = magnitudes(intact).sort().values
    kept = magnitudes(weakest(intact, fraction)).sort().values
    assert torch.equal(kept, sizes[len(sizes) - len(kept) :])
    kept = magnitudes(strongest(intact, fraction)).sort().values
    assert torch.equal(kept, sizes[: len(kept)])


@given(intact=weights(), parts=st.tuples(st.integers(0, 72), st.integers(0, 72)))
def test_two_weakest_lesions_in_a_row_are_one(intact, parts):
    existing = count_connections(intact)
    first, second = sorted(min(part, existing) for part in parts)
    if first == existing:
        return
    once = weakest(intact, second / existing)
    twice = weakest(weakest(intact, first / existing), (second - first) / (existing - first))
    assert equal(once, twice)


@pytest.mark.parametrize("ablation", [weakest, strongest], ids=lambda ablation: ablation.name)
def test_among_equals_the_first_goes_first(ablation):
    intact = {"a": torch.tensor([[1.0, -1.0], [0.0, 1.0]]), "b": torch.tensor([[1.0]])}
    lesioned = ablation(intact, 0.5)
    assert lesioned["a"].tolist() == [[0, 0], [0, 1]]
    assert lesioned["b"].tolist() == [[1]]


def test_order_is_kept_between_numbers_that_float32_cannot_tell_apart():
    close = torch.tensor([[1 + 2**-40, 1.0]], dtype=torch.float64)
    assert weakest({"a": close}, 0.5)["a"].tolist() == [[1 + 2**-40, 0]]


def test_random_lesions_take_every_connection_equally_often():
    intact = {"a": torch.tensor([[5.0, 0.0, 1e-6], [1.0, -3.0, 0.0]])}
    source = generator(0)
    kept = sum((random(intact, 0.5, generator=source)["a"] != 0).int() for _ in range(4000))
    # each of the four in half of 4,000 lesions, standard deviation 32
    assert float((kept[intact["a"] != 0].double() - 2000).abs().max()) < 130


@given(intact=weights(), seed=st.integers(0, 1000))
def test_removals_are_idempotent_and_commute(intact, seed):
    source = generator(seed)
    first, second = ({a: torch.rand(w.shape, generator=source) < 0.4 for a, w in intact.items()} for _ in range(2))
    once = remove(intact, first)
    assert equal(remove(once, first), once)
    assert equal(remove(once, second), remove(remove(intact, second), first))


def test_a_removal_leaves_other_addresses_alone():
    intact = {"a": torch.ones(2, 2), "b": torch.ones(2, 2)}
    lesioned = remove(intact, {"a": torch.eye(2) > 0})
    assert lesioned["a"].tolist() == [[0, 1], [1, 0]]
    assert torch.equal(lesioned["b"], intact["b"])
    assert lesioned["b"] is not intact["b"]


def test_a_lesion_that_writes_in_place_reaches_only_a_copy():
    def silence(weights, fraction, generator):
        for weight in weights.values():
            weight.zero_()
        return weights

    parameter = torch.ones(2, 2, requires_grad=True)
    assert count_connections(Ablation("silence", silence)({"a": parameter}, 0.5, generator=generator(0))) == 0
    assert torch.equal(parameter, torch.ones(2, 2))


def test_names_lead_to_strategies():
    assert ablation_named("weakest") is weakest
    assert ablation_named("random") is random


LOSES = Ablation("loses", lambda weights, fraction, generator: {})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: ablation_named("weekest"),
            r"no ablation 'weekest': choose from 'weakest', 'strongest', 'random'.*'weakest'\?",
        ),
        (lambda: weakest({"a": torch.ones(1, 1)}, 1.5), r"`fraction` is 1.5"),
        (lambda: random({"a": torch.ones(1, 1)}, 0.5), r"'random' is random but got no `generator`"),
        (lambda: weakest({"a": torch.tensor([[torch.nan]])}, 0.5), r"`weights\['a'\]` holds 1 NaN"),
        (
            lambda: LOSES({"a": torch.ones(1, 1)}, 0, generator=generator(0)),
            r"returned \{\}: it must return every address",
        ),
        (
            lambda: remove({"cortex.recurrent": torch.ones(1, 1)}, {"cortex.recurent": torch.ones(1, 1) > 0}),
            r"'cortex\.recurent', but there are weights at 'cortex\.recurrent'\. Did you mean",
        ),
        (lambda: remove({"a": torch.ones(1, 2)}, {"a": torch.ones(2, 1) > 0}), r"shape \(2, 1\).*shape \(1, 2\)"),
        (lambda: remove({"a": torch.ones(1, 2)}, {"a": torch.ones(1, 2)}), r"torch\.float32.*torch\.bool"),
    ],
)
def test_bad_input_says_what_came_and_what_to_do(make, message):
    with pytest.raises(ValueError, match=message):
        make()
