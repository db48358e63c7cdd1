"""Weights rounded to the shortest floating-point type that keeps the validation error."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

ROUNDING = 5e-3
"""Largest relative increase of the validation error by rounding weights that is accepted."""


def with_short_weights(
    module: nn.Module, validate: Callable[[], float], solve_readouts: Callable[[], float]
) -> float:
    """Round all weights to float16 and refit the readouts, unless that raises the error too much.

    A file then takes half the space. Rounding changes the features a little and keeps them smooth,
    so the refitted readouts usually compensate for it. If the error still rises by more than a
    share `ROUNDING`, the exact weights are restored and the readouts are refitted to them.

    Args:
        module: the network of a stage.
        validate: returns the validation error.
        solve_readouts: refits the readouts and returns the validation error.

    Returns:
        The validation error.
    """
    exact, before = {k: t.clone() for k, t in module.state_dict().items()}, validate()
    for weight in module.parameters():
        weight.copy_(weight.half().float())
    error = solve_readouts()
    if error > before * (1 + ROUNDING):
        module.load_state_dict(exact)
        error = solve_readouts()
    return _with_short_solution(module, validate, error)


def _with_short_solution(module: nn.Module, validate: Callable[[], float], error: float) -> float:
    """Round the refitted readouts as well, if the error allows it; the validation error.

    Their values span many orders of magnitude. A buffer with values outside the range of float16
    becomes float32, and all buffers do if float16 raises the error too much; if float32 does so as
    well, they stay float64.
    """
    exact = {name: t.clone() for name, t in module.named_buffers() if t.any()}
    if not exact:
        return error
    for shortened in (_short, Tensor.float):
        for name, buffer in module.named_buffers():
            if name in exact:
                buffer.copy_(shortened(exact[name]))
        short = validate()
        if short <= error * (1 + ROUNDING):
            return short
    for name, buffer in module.named_buffers():
        if name in exact:
            buffer.copy_(exact[name])
    return error


def _short(values: Tensor) -> Tensor:
    """Values as float16, or as float32 if one is too large for float16."""
    half = values.half()
    return half if bool(half.isfinite().all()) else values.float()
