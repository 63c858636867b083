"""What every step must hold, as functions from a situation; `test_planted_breaches` shows that each can fail."""

from __future__ import annotations

import torch
from torch import Tensor

from neurotorch.core.trees import leaves, transform
from tests.contracts.models import Situation

# The vectorised and the scalar lanes of exp or tanh differ by an ulp; which one an element meets depends on its place.
LANES = {"rtol": 1e-14, "atol": 1e-15}


def outputs(situation: Situation, state=None, current=None, coefficients=None) -> list[Tensor]:
    """Return what the step returns, as a list of tensors; what is not given is the situation's."""
    emitted, after = situation.step(
        situation.coefficients if coefficients is None else coefficients,
        situation.state if state is None else state,
        situation.current if current is None else current,
    )
    return [emitted, *leaves(after)]


def check_pure(situation: Situation) -> None:
    """The step changes none of its inputs, and gives the same outputs twice."""
    before = [tensor.clone() for tensor in situation.inputs()]
    first = [tensor.clone() for tensor in outputs(situation)]
    second = outputs(situation)
    for old, new in zip(before, situation.inputs(), strict=True):
        assert torch.equal(old, new), "the step changed an input in place"
    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other), "the step gave two answers to one question"


def check_pointwise(situation: Situation) -> None:
    """Changing one neuron of one sample changes that one, and nothing else."""
    sample, neuron = situation.batch - 1, 1
    others = torch.ones(situation.batch, situation.count, dtype=torch.bool)
    others[sample, neuron] = False
    reference = outputs(situation)

    def bump(tensor: Tensor) -> Tensor:
        changed = tensor.clone()
        changed[sample, neuron] += situation.scale
        return changed

    bumped = outputs(situation, current=bump(situation.current))
    everywhere = outputs(situation, current=situation.current + situation.scale)  # one neuron may be refractory
    assert any(not torch.equal(a, b) for a, b in zip(reference, everywhere, strict=True)), "a current changes nothing"
    for changed in (bumped, outputs(situation, state=transform(situation.state, bump))):
        for old, new in zip(reference, changed, strict=True):
            assert torch.equal(old[others], new[others]), "a neuron saw another"


def check_batch_independent(situation: Situation) -> None:
    """A sample alone does what it does in a batch."""
    together = outputs(situation)
    for sample in range(situation.batch):
        row = slice(sample, sample + 1)
        alone = outputs(situation, transform(situation.state, lambda x, row=row: x[row]), situation.current[row])
        for one, all_ in zip(alone, together, strict=True):
            torch.testing.assert_close(one, all_[row], **LANES)


def check_permutation_equivariant(situation: Situation) -> None:
    """Neurons have no order: permuted inputs give permuted outputs."""
    order = torch.arange(situation.count).roll(2)

    def permute(tensor: Tensor) -> Tensor:
        return tensor[..., order] if tensor.dim() and tensor.shape[-1] == situation.count else tensor

    permuted = outputs(
        situation,
        transform(situation.state, permute),
        permute(situation.current),
        transform(situation.coefficients, permute),
    )
    for one, other in zip(permuted, outputs(situation), strict=True):
        torch.testing.assert_close(one, permute(other), **LANES)


def check_keeps(situation: Situation, dtype: torch.dtype, device: str = "cpu") -> None:
    """Everything in one dtype on one device goes in, and comes out so."""

    def move(tensor: Tensor) -> Tensor:
        return tensor.to(device=device, dtype=dtype)

    found = outputs(
        situation,
        transform(situation.state, move),
        move(situation.current),
        transform(situation.coefficients, move),
    )
    for tensor in found:
        assert (tensor.dtype, tensor.device.type) == (dtype, device)
        assert tensor.shape == (situation.batch, situation.count)


CHECKS = (check_pure, check_pointwise, check_batch_independent, check_permutation_equivariant)
