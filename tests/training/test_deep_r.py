"""Deep rewiring: density, signs and places hold, the teacher is found, and a resumed run is the uninterrupted one."""

import warnings

import pytest
import torch

from neurotorch.connections import (
    Absolute,
    Balanced,
    Connection,
    Dale,
    NoInputWarning,
    Projected,
    Square,
    no_self,
    rewire_,
    sparse,
)
from neurotorch.connections.rewiring import GROWN
from neurotorch.data import Batch
from neurotorch.learning import BPTT, MeanSquaredError
from neurotorch.network import Layer, Network
from neurotorch.neurons import FiringRate, learned
from neurotorch.neurons.transfer import Tanh
from neurotorch.training import Callback, Checkpoint, DeepR, Trainer
from tests.training.tiny import Regression, batches

NEURONS = 16
ADDRESS = "brain.recurrent"


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def network(magnitude, seed, *, radius=0.5, mask=None):
    dale = Dale.fraction(NEURONS, 0.75, generator=seeded(1), magnitude=magnitude)
    mask = sparse(NEURONS, NEURONS, density=0.15, generator=seeded(seed)) if mask is None else mask
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoInputWarning)
        connection = Connection(
            NEURONS, NEURONS, dale=dale, mask=mask, init=Balanced(radius), generator=seeded(seed + 1)
        )
    return Network({"brain": Layer(FiringRate(0.15, transfer=Tanh()), NEURONS, recurrent=connection)}, dt=0.1)


def task(teacher):
    """Two batches of what the teacher does under known noise."""
    inputs = 2 * torch.randn(15, 64, NEURONS, generator=seeded(4))
    with torch.no_grad():
        target, _ = teacher(inputs)
    return [Batch(target[:, part], inputs[:, part]) for part in (slice(0, 32), slice(32, 64))]


def rule(student, optimizer=torch.optim.SGD, rate=2.0, **options):
    return BPTT(student, MeanSquaredError(), optimizer=optimizer(student.parameters(), lr=rate, **options))


class Watch(Callback):
    """After every batch: count, signs and places hold."""

    runs_last = True

    def __init__(self, within):
        self.within, self.masks = within, []

    def on_batch_end(self, trainer, report):
        connection = trainer.network.connections()[ADDRESS]
        assert int(connection.mask.sum()) == round(0.15 * NEURONS * (NEURONS - 1))
        assert not (connection.mask & ~self.within).any()
        assert connection.dale.violations(connection.weight()) == 0
        assert (connection.raw[connection.mask] > 0).all()
        assert torch.equal(connection.weight() != 0, connection.mask)
        self.masks.append(connection.mask.clone())


@pytest.mark.parametrize("magnitude", [Projected(), Absolute()])
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_density_signs_and_places_hold_after_every_step(magnitude, optimizer):
    within = no_self(NEURONS)
    within[:, :2] = False  # two neurons that send nothing
    start = torch.zeros(NEURONS, NEURONS, dtype=torch.bool)
    free = within.flatten().nonzero().flatten()
    start.view(-1)[free[torch.randperm(len(free), generator=seeded(8))[:36]]] = True
    student = network(magnitude, 5, mask=start)
    rate = 2.0 if optimizer is torch.optim.SGD else 0.02
    watch, deep = Watch(within), DeepR(ADDRESS, l1=1e-3, temperature=1e-6, within=within)
    trainer = Trainer(rule(student, optimizer, rate), callbacks=[deep, watch])
    trainer.fit(task(network(Projected(), 2, radius=1.5)), epochs=25)
    assert deep.moved > 10
    assert any(not torch.equal(first, start) for first in watch.masks)


def test_it_finds_the_connections_of_a_teacher():
    teacher = network(Projected(), 2, radius=1.5)
    true = teacher.connections()[ADDRESS].mask
    student = network(Projected(), 5)
    before = int((student.connections()[ADDRESS].mask & true).sum())
    trainer = Trainer(rule(student), callbacks=[DeepR(ADDRESS, l1=1e-3)])
    losses = trainer.fit(task(teacher), epochs=200).column("loss")
    found = int((student.connections()[ADDRESS].mask & true).sum())
    # 36 of 240 places: 5.4 by chance with a standard deviation of 2.0; 24 is more than nine of them
    assert before < 10
    assert found >= 24
    assert losses[-1] < losses[0] / 4


def test_drift_and_noise_are_those_of_the_paper():
    def once(callbacks):
        student = network(Projected(), 5, radius=1.5)
        Trainer(rule(student, rate=0.5), callbacks=callbacks).fit(task(network(Projected(), 2))[:1], epochs=1)
        return student.connections()[ADDRESS]

    plain, drifted, warm = once([]), once([DeepR(ADDRESS, l1=1e-3)]), once([DeepR(ADDRESS, temperature=1e-7)])
    kept = plain.mask & drifted.mask & (plain.raw > 1e-3) & (drifted.raw > GROWN)
    assert int(kept.sum()) > 30
    # subtracting 5e-4 in float32 from values of order 1 is exact to their rounding
    torch.testing.assert_close((plain.raw - drifted.raw)[kept], torch.full((int(kept.sum()),), 5e-4), atol=2e-7, rtol=0)
    stays = plain.mask & warm.mask & (plain.raw > 0.01)
    noise = ((warm.raw - plain.raw)[stays] / (2 * 0.5 * 1e-7) ** 0.5).detach()
    # mean and variance of about 30 draws of a standard normal, at four standard errors
    count = int(stays.sum())
    assert count > 25
    assert abs(float(noise.mean())) < 4 / count**0.5
    assert abs(float(noise.square().mean()) - 1) < 4 * (2 / count) ** 0.5


def test_what_crossed_zero_moves_and_nothing_else():
    connection = network(Projected(), 5).connections()[ADDRESS]
    places = connection.mask.nonzero()
    with torch.no_grad():
        connection.raw[tuple(places[0])] = 0.0
        connection.raw[tuple(places[7])] = -1.0
    mask, raw = connection.mask.clone(), connection.raw.detach().clone()
    moved = rewire_(connection, within=no_self(NEURONS), generator=seeded(3))
    gone, grown = mask & ~connection.mask, connection.mask & ~mask
    assert int(grown.sum()) == int(gone.sum()) <= 2
    assert torch.equal(moved[tuple(places[0])] & moved[tuple(places[7])], torch.tensor(True))
    assert (connection.raw[grown] == GROWN).all()
    assert not connection.raw[gone].any()
    kept = mask & ~moved
    assert torch.equal(connection.raw[kept], raw[kept])
    assert int(connection.mask.sum()) == int(mask.sum())
    assert not rewire_(connection, within=no_self(NEURONS)).any(), "without a crossing nothing moves"


def test_every_empty_place_is_equally_likely():
    within, counts, generator = no_self(NEURONS), torch.zeros(NEURONS, NEURONS), seeded(3)
    connection = network(Projected(), 5).connections()[ADDRESS]
    for _ in range(2000):
        mask = sparse(NEURONS, NEURONS, density=0.15, generator=seeded(9))
        connection.mask.copy_(mask)
        with torch.no_grad():
            connection.raw.fill_(1.0)[0, 1:] = 0.0
        rewire_(connection, within=within, generator=generator)
        counts += connection.mask & ~(mask & (torch.arange(NEURONS) > 0)[:, None])
    removed = int(mask[0].sum())
    places = within & ~(mask & (torch.arange(NEURONS) > 0)[:, None])
    chance = removed / int(places.sum())
    assert not counts[~places].any()
    spread = (2000 * chance * (1 - chance)) ** 0.5
    assert ((counts[places] - 2000 * chance).abs() < 4.5 * spread).all()


def test_the_optimizer_forgets_the_places_that_moved():
    student = network(Projected(), 5)
    raw = student.connections()[ADDRESS].raw
    trained = rule(student, torch.optim.Adam, 0.05)
    seen = []

    class Look(Callback):
        def on_batch_end(self, trainer, report):
            mask = student.connections()[ADDRESS].mask
            averages = trained.optimizer.state[raw]["exp_avg"]
            seen.append((int((averages[~mask] != 0).sum()), int((averages[mask] == 0).sum()), deep.moved))

    deep = DeepR(ADDRESS, l1=0.3)
    Trainer(trained, callbacks=[deep, Look()]).fit(task(network(Projected(), 2, radius=1.5)), epochs=10)
    assert deep.moved > 5
    assert all(outside == 0 for outside, _, _ in seen), "places that were left have no averages"
    new = [moved - before for (_, _, moved), (_, _, before) in zip(seen[1:], seen, strict=False)]
    assert all(fresh >= count for (_, fresh, _), count in zip(seen[1:], new, strict=True))


def outcome(trainer):
    return {name: value.tolist() for name, value in trainer.network.state_dict().items()}, [
        row["loss"] for row in trainer.history
    ]


@pytest.mark.parametrize("at", [(0, 1), (2, 1), (4, 0)])
def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path, at):
    class StopAt(Callback):
        def on_batch_end(self, trainer, report):
            if (trainer.epoch, trainer.batch) == at:
                trainer.stop("asked")

        def on_epoch_end(self, trainer):
            if (trainer.epoch, trainer.batch) == at:
                trainer.stop("asked")

    train = task(network(Projected(), 2, radius=1.5))

    def fresh(*more):
        deep = DeepR(ADDRESS, l1=0.3, temperature=1e-2, seed=3)
        return deep, Trainer(rule(network(Projected(), 5), torch.optim.Adam, 0.05), callbacks=[deep, *more])

    counted, whole = fresh()
    whole.fit(train, epochs=8)
    _, first = fresh(Checkpoint(tmp_path), StopAt())
    first.fit(train, epochs=8)
    resumed, second = fresh()
    second.fit(train, epochs=8, resume_from=tmp_path)
    assert counted.moved == resumed.moved > 5
    assert outcome(second) == outcome(whole)


def fit(callback, student=None, trained=None):
    trained = rule(network(Projected(), 5) if student is None else student) if trained is None else trained
    Trainer(trained, callbacks=[callback]).fit(task(network(Projected(), 2)), epochs=1)


def free():
    connection = Connection(NEURONS, NEURONS, mask=no_self(NEURONS), generator=seeded(0))
    return Network({"brain": Layer(FiringRate(0.15), NEURONS, recurrent=connection)}, dt=0.1)


def unmasked():
    dale = Dale.fraction(NEURONS, 0.75, magnitude=Projected())
    connection = Connection(NEURONS, NEURONS, dale=dale, generator=seeded(0))
    return Network({"brain": Layer(FiringRate(0.15), NEURONS, recurrent=connection)}, dt=0.1)


def with_another_optimizer():
    student = network(Projected(), 5)
    recurrent = student.connections()[ADDRESS]
    layer = Layer(FiringRate(0.15), NEURONS, recurrent=recurrent, bias=learned(torch.zeros(NEURONS)))
    optimizer = torch.optim.SGD(layer.bias.parameters(), lr=0.1)
    return BPTT(Network({"brain": layer}, dt=0.1), MeanSquaredError(), optimizer=optimizer)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: DeepR(ADDRESS, l1=-1.0), ValueError, "`l1` is -1"),
        (lambda: DeepR(ADDRESS, temperature=float("nan")), ValueError, "`temperature` is nan"),
        (lambda: fit(DeepR("brain.recurent")), ValueError, "no connection 'brain.recurent'.*mean 'brain.recurrent'"),
        (lambda: fit(DeepR(ADDRESS), network(Square(), 5)), ValueError, r"Square\(\).*`Projected\(\)` and `Absolute"),
        (lambda: fit(DeepR(ADDRESS), free()), ValueError, "no `dale`.*Dale.fraction"),
        (lambda: fit(DeepR(ADDRESS), unmasked()), ValueError, "has none: build it with one"),
        (lambda: fit(DeepR(ADDRESS, within=no_self(3))), ValueError, r"shape \(3, 3\).*\(16, 16\)"),
        (lambda: fit(DeepR(ADDRESS, within=~no_self(NEURONS))), ValueError, "leaves out 36 connections"),
        (lambda: fit(DeepR(ADDRESS), trained=with_another_optimizer()), ValueError, "does not train 'brain.recurrent'"),
        (
            lambda: Trainer(Regression(), callbacks=[DeepR(ADDRESS)]).fit(batches(), epochs=1),
            TypeError,
            "the rule is Regression: train with a gradient rule",
        ),
    ],
)
def test_what_cannot_be_rewired_is_refused_in_words(make, error, message):
    with pytest.raises(error, match=message):
        make()
