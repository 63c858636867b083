import numpy as np
import pytest
import torch

from neurotorch.learning import MeanSquaredError


def test_the_mean_square_is_over_time_batch_and_neuron(generator):
    output, target = torch.randn(2, 7, 3, 4, generator=generator, dtype=torch.float64)
    expected = np.mean((output.numpy() - target.numpy()) ** 2)
    assert MeanSquaredError()(output, target).item() == pytest.approx(expected, rel=1e-14)


def test_skipped_frames_count_neither_in_the_loss_nor_in_its_gradient(generator):
    output, target = torch.randn(2, 7, 3, 4, generator=generator, dtype=torch.float64)
    output.requires_grad_()
    loss = MeanSquaredError(skip=2)(output, target)
    assert loss.item() == pytest.approx(MeanSquaredError()(output[2:], target[2:]).item(), rel=1e-14)
    (gradient,) = torch.autograd.grad(loss, output)
    assert not gradient[:2].any()
    # the derivative of a mean of 5 * 3 * 4 squares
    torch.testing.assert_close(gradient[2:], (2 * (output - target) / 60)[2:].detach(), rtol=1e-14, atol=0)


def test_the_parts_of_a_window_add_up_to_its_loss(generator):
    output, target = torch.randn(2, 7, 3, 4, generator=generator, dtype=torch.float64)
    loss = MeanSquaredError(skip=2)
    for length in (1, 2, 3, 7):
        parts = [
            loss.part(output[start : start + length], target[start : start + length], start=start, frames=7)
            for start in range(0, 7, length)
        ]
        assert sum(parts).item() == pytest.approx(loss(output, target).item(), rel=1e-14)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MeanSquaredError(skip=-1), r"`skip` is -1"),
        (lambda: MeanSquaredError(skip=7)(torch.zeros(7, 3, 4), torch.zeros(7, 3, 4)), "skips 7 frames.*only 7"),
        # these two would broadcast
        (lambda: MeanSquaredError()(torch.zeros(7, 3, 4), torch.zeros(7, 1, 4)), r"\(7, 3, 4\).*\(7, 1, 4\)"),
        (lambda: MeanSquaredError()(torch.zeros(7, 3, 4), torch.zeros(3, 4)), r"\(7, 3, 4\).*\(3, 4\)"),
    ],
)
def test_what_a_loss_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()
