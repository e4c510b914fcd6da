import torch
from torch.autograd import gradcheck

from tests.trainers.mamba.scan_inputs import by_hand, scan_inputs
from trainers.mamba.scan import selective_scan_plain


def test_the_formula_of_the_paper() -> None:
    inputs = scan_inputs(3, 6, 4, 5)
    torch.testing.assert_close(
        selective_scan_plain(**inputs),
        torch.tensor(by_hand(**inputs), dtype=torch.float64),
        rtol=1e-10,
        atol=1e-12,
    )


def test_rows_end_at_their_lengths() -> None:
    inputs = scan_inputs(3, 6, 4, 5)
    lengths = torch.tensor([6, 1, 0])
    found = selective_scan_plain(**inputs, lengths=lengths)
    torch.testing.assert_close(
        found, torch.tensor(by_hand(**inputs, lengths=lengths), dtype=torch.float64), rtol=1e-10, atol=1e-12
    )


def test_gradients_are_those_of_finite_differences() -> None:
    inputs = scan_inputs(2, 4, 3, 2)
    names = list(inputs)
    lengths = torch.tensor([4, 2])

    def scan(*parts: torch.Tensor) -> torch.Tensor:
        return selective_scan_plain(**dict(zip(names, parts, strict=True)), lengths=lengths)

    assert gradcheck(scan, [part.clone().requires_grad_() for part in inputs.values()])


def test_no_steps_give_no_steps() -> None:
    inputs = scan_inputs(2, 1, 3, 2)
    empty = {name: part[:, :0] if part.dim() == 3 else part for name, part in inputs.items()}
    assert selective_scan_plain(**empty).shape == (2, 0, 3)
