"""Splits of labelled samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neurotorch.data import Images, folds, leave_one_group_out, refuse_test, split

LABELS = torch.arange(5).repeat_interleave(torch.tensor([10, 20, 30, 40, 50]))
SPEAKERS = torch.arange(150) % 6


def images(part):
    return Images(torch.zeros(150, 2, 2, dtype=torch.uint8), LABELS, tuple("abcde"), part=part)


@given(seed=st.integers(0, 2**31), fraction=st.floats(0.05, 0.95))
def test_every_sample_is_on_one_side_and_every_class_gives_its_fraction(seed, fraction):
    train, validation = split(LABELS, validation=fraction, seed=seed)
    assert sorted([*train.tolist(), *validation.tolist()]) == list(range(150))
    assert train.tolist() == sorted(train.tolist())
    assert torch.bincount(LABELS[validation], minlength=5).tolist() == [
        min(round(fraction * count), count - 1) for count in (10, 20, 30, 40, 50)
    ]


@pytest.mark.parametrize("fraction", [0.5, 0.97, 0.999])
def test_every_class_stays_in_training(fraction):
    labels = torch.arange(3).repeat_interleave(torch.tensor([1, 2, 300]))
    train, validation = split(labels, validation=fraction, seed=0)
    assert labels[train].unique().tolist() == [0, 1, 2]
    assert len(validation) > 0


def test_a_seed_is_a_split():
    first, again, other = (split(LABELS, validation=0.2, seed=seed)[1].tolist() for seed in (1, 1, 2))
    assert first == again != other


def test_data_and_labels_give_the_same_split():
    of_data, of_labels = (split(data, validation=0.2, seed=1)[1] for data in (images("train"), LABELS))
    assert of_data.tolist() == of_labels.tolist()


def test_without_classes_the_fraction_is_that_of_all():
    chosen = [split(LABELS, validation=0.5, seed=seed, stratify=False)[1] for seed in range(20)]
    assert {len(each) for each in chosen} == {75}
    assert len({int((LABELS[each] == 0).sum()) for each in chosen}) > 1


@pytest.mark.parametrize(("fraction", "held"), [(0.01, 1), (0.34, 2), (0.5, 3), (0.99, 5)])
def test_groups_stay_together(fraction, held):
    train, validation = split(LABELS, validation=fraction, seed=3, groups=SPEAKERS)
    assert len(SPEAKERS[validation].unique()) == held
    assert not set(SPEAKERS[train].tolist()) & set(SPEAKERS[validation].tolist())
    assert len(train) + len(validation) == 150


@pytest.mark.parametrize("count", [2, 5, 7])
def test_every_sample_is_in_one_fold_and_folds_are_balanced_by_class_and_speaker(count):
    # Every pair of class and speaker equally often.
    labels, speakers = torch.arange(5).repeat_interleave(42), torch.arange(210) % 6
    parts = folds(labels, count, seed=4, groups=speakers)
    assert len(parts) == count
    assert sorted(index for _, inside in parts for index in inside.tolist()) == list(range(210))
    for outside, inside in parts:
        assert sorted([*outside.tolist(), *inside.tolist()]) == list(range(210))
        pairs = np.bincount(labels[inside].numpy() * 6 + speakers[inside].numpy(), minlength=30)
        assert pairs.max() - pairs.min() <= 1
        assert abs(len(inside) - 210 / count) < 1


def test_folds_without_groups_are_balanced_by_class_whatever_the_order():
    shuffled = LABELS[torch.randperm(150, generator=torch.Generator().manual_seed(0))]
    for _, inside in folds(shuffled, 5, seed=0):
        assert torch.bincount(shuffled[inside]).tolist() == [2, 4, 6, 8, 10]
    assert folds(shuffled, 5, seed=0)[0][1].tolist() != folds(shuffled, 5, seed=1)[0][1].tolist()


def test_each_group_is_left_out_once():
    left = leave_one_group_out(LABELS, SPEAKERS)
    assert [name for name, _, _ in left] == list(range(6))
    for name, outside, inside in left:
        assert (SPEAKERS[inside] == name).all()
        assert (SPEAKERS[outside] != name).all()
        assert len(inside) + len(outside) == 150


def test_the_test_part_is_refused():
    test = images("test")
    with pytest.raises(ValueError, match=r"150 samples of the test part, .* not used for validation"):
        split(test, validation=0.2, seed=0)
    with pytest.raises(ValueError, match="not used for cross-validation"):
        folds(test, 5, seed=0)
    with pytest.raises(ValueError, match="not used for cross-validation"):
        leave_one_group_out(test, SPEAKERS)
    with pytest.raises(ValueError, match="not used for training"):
        refuse_test(test.select([0, 1]), "training")
    refuse_test(images("train"), "training")
    refuse_test(LABELS, "training")


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: split(LABELS, validation=0, seed=0), "`validation` is 0, but it must lie between 0 and 1"),
        (lambda: split(LABELS, validation=1.5, seed=0), "lies in 0..1"),
        (lambda: split(LABELS, validation=0.01, seed=0), "takes none for validation"),
        (lambda: split(LABELS, validation=0.5, seed=0, groups=SPEAKERS[:9]), r"shape \(9,\), but there are 150"),
        (lambda: split(LABELS, validation=0.5, seed=0, groups=SPEAKERS * 0), "holds one group"),
        (lambda: folds(LABELS, 151, seed=0), "151 folds, but there are 150 samples"),
        (lambda: folds(LABELS, 1, seed=0), "`count` is 1, but it must be at least 2"),
        (lambda: leave_one_group_out(LABELS, SPEAKERS * 0), "nothing is left"),
        (lambda: split(LABELS[:1], validation=0.5, seed=0), "at least two samples"),
    ],
)
def test_what_cannot_be_split_is_refused(call, told):
    with pytest.raises(ValueError, match=told):
        call()
