"""Cross-entropy over a pooled readout, against numpy in float64 and against torch's own with class indices."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from neurotorch.connections import Connection
from neurotorch.data import Batch
from neurotorch.learning import (
    BPTT,
    CrossEntropy,
    CrossEntropyPerStep,
    EProp,
    LastStep,
    MaximumOverTime,
    MeanOverTime,
    SummedLoss,
    SumOverTime,
    class_target,
)
from neurotorch.network import Layer, Network
from neurotorch.neurons import LIF, LeakyIntegrator

FRAMES, SAMPLES, CLASSES = 7, 5, 4
LENGTHS = torch.tensor([7, 3, 1, 5, 6])
LABELS = torch.tensor([0, 3, 1, 1, 2])


def output(seed=0):
    return torch.randn(FRAMES, SAMPLES, CLASSES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def expected(pool, lengths, smoothing):
    """The loss of each sample cut to its length, one by one."""
    losses = []
    for sample, (label, length) in enumerate(zip(LABELS.tolist(), lengths.tolist(), strict=True)):
        logits = pool(output().numpy()[:length, sample])
        log_softmax = logits - np.log(np.exp(logits).sum())
        wanted = np.full(CLASSES, smoothing / CLASSES)
        wanted[label] += 1 - smoothing
        losses.append(-(wanted * log_softmax).sum())
    return np.mean(losses)


@pytest.mark.parametrize(
    ("pooling", "pool"),
    [
        (MeanOverTime(), lambda y: y.mean(0)),
        (MaximumOverTime(), lambda y: y.max(0)),
        (LastStep(), lambda y: y[-1]),
        (SumOverTime(), lambda y: y.sum(0)),
    ],
)
@pytest.mark.parametrize("lengths", [LENGTHS, torch.full((SAMPLES,), FRAMES)])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_the_loss_is_that_of_every_sample_cut_to_its_length(pooling, pool, lengths, smoothing):
    target = class_target(LABELS, CLASSES, frames=FRAMES, lengths=lengths, dtype=torch.float64)
    found = CrossEntropy(pooling, smoothing=smoothing)(output(), target)
    assert float(found) == pytest.approx(expected(pool, lengths, smoothing), rel=1e-12)


def test_a_target_of_full_length_takes_one_frame_of_memory():
    target = class_target(LABELS, CLASSES, frames=1000)
    assert target.shape == (1000, SAMPLES, CLASSES)
    assert target.untyped_storage().nbytes() == SAMPLES * CLASSES * 4


def test_frames_behind_the_end_get_no_gradient():
    y = output().requires_grad_()
    target = class_target(LABELS, CLASSES, frames=FRAMES, lengths=LENGTHS, dtype=torch.float64)
    for pooling in (MeanOverTime(), MaximumOverTime(), LastStep(), SumOverTime()):
        (gradient,) = torch.autograd.grad(CrossEntropy(pooling)(y, target), y)
        for sample, length in enumerate(LENGTHS.tolist()):
            assert not gradient[length:, sample].any()
            assert gradient[:length, sample].any()


def test_per_step_is_the_mean_over_frames_and_its_parts_add_up():
    loss = CrossEntropyPerStep(smoothing=0.1)
    assert isinstance(loss, SummedLoss)
    target = class_target(LABELS, CLASSES, frames=FRAMES, dtype=torch.float64)
    whole = loss(output(), target)
    each = [functional.cross_entropy(frame, LABELS, label_smoothing=0.1) for frame in output()]
    assert float(whole) == pytest.approx(float(torch.stack(each).mean()), rel=1e-12)
    parts = [loss.part(output()[a:b], target[a:b], start=a, frames=FRAMES) for a, b in ((0, 2), (2, 3), (3, FRAMES))]
    assert float(sum(parts)) == pytest.approx(float(whole), rel=1e-12)


def test_per_step_frames_behind_the_end_add_nothing():
    loss = CrossEntropyPerStep()
    target = class_target(LABELS, CLASSES, frames=FRAMES, lengths=LENGTHS, dtype=torch.float64)
    changed = output()
    changed[6, 1] += 100.0  # sample 1 ended after three frames
    assert loss(changed, target) == loss(output(), target)


def network(seed=1):
    generator = torch.Generator().manual_seed(seed)
    hidden = Layer(
        LIF(), 6, inputs=Connection(3, 6, generator=generator), recurrent=Connection(6, 6, generator=generator)
    )
    readout = Layer(LeakyIntegrator(), CLASSES, inputs=Connection(6, CLASSES, generator=generator))
    return Network({"hidden": hidden, "readout": readout}, dt=0.005)


@pytest.mark.parametrize("rule", [BPTT, EProp])
def test_rules_take_it(rule):
    built = network()
    inputs = 3 * torch.randn(FRAMES, SAMPLES, 3, generator=torch.Generator().manual_seed(3))
    target = class_target(LABELS, CLASSES, frames=FRAMES, lengths=LENGTHS)
    trained = rule(built, CrossEntropy(), optimizer=torch.optim.SGD(built.parameters(), lr=0.1))
    report = trained.compute(Batch(target, inputs))
    seen, _ = built(inputs)
    assert report.loss == pytest.approx(float(CrossEntropy()(seen.detach(), target)), rel=1e-6)
    assert all(connection.raw.grad.any() for connection in built.connections().values())


def test_online_eprop_takes_the_one_per_step_and_refuses_the_pooled_one():
    built = network()
    optimizer = torch.optim.SGD(built.parameters(), lr=0.1)
    with pytest.raises(TypeError, match="not a sum over time"):
        EProp(built, CrossEntropy(), optimizer=optimizer, online=True)
    inputs = 3 * torch.randn(FRAMES, SAMPLES, 3, generator=torch.Generator().manual_seed(3))
    target = class_target(LABELS, CLASSES, frames=FRAMES)
    gradients = []
    for online in (True, False):
        EProp(built, CrossEntropyPerStep(), optimizer=optimizer, online=online).gradient(Batch(target, inputs))
        gradients.append([connection.raw.grad.clone() for connection in built.connections().values()])
    for found, wanted in zip(*gradients, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)  # float32, summed in another order


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: class_target(torch.tensor([0, 4]), 4, frames=3), "holds 4 at sample 1, but classes are 0 to 3"),
        (lambda: class_target(torch.tensor([-1]), 4, frames=3), "holds -1 at sample 0"),
        (lambda: class_target(torch.tensor([0.5]), 4, frames=3), "must be whole numbers"),
        (lambda: class_target(LABELS, 4, frames=3, lengths=LENGTHS), "reach from 1 to 7, but the target has 3 frames"),
        (lambda: class_target(LABELS, 4, frames=7, lengths=LENGTHS[:1]), "`lengths` are \\(1,\\), but there are 5"),
        (lambda: CrossEntropy(smoothing=1.0), "share of at least 0 and below 1"),
        (lambda: CrossEntropy("mean"), "must be an object such as MeanOverTime"),
        (lambda: CrossEntropy()(output(), output()[:, :, :2]), "the target is \\(7, 5, 2\\)"),
        (lambda: CrossEntropy()(output(), torch.zeros_like(output())), "no class for sample 0"),
    ],
)
def test_errors(call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
