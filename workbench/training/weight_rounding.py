"""Weights in the shortest floating-point type that does not raise the validation error."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

ROUNDING = 5e-3
"""How much larger, relatively, the validation error may become by rounding weights to float16."""


def with_short_weights(
    module: nn.Module, validate: Callable[[], float], solve_readouts: Callable[[], float]
) -> float:
    """Solve with all weights rounded to float16, or exact ones where rounding does harm.

    A file then takes half the space. Rounding changes the features a little and leaves them as
    smooth as they were; the readouts make up for it unless the network was already at its best.
    Then less than `ROUNDING` of its error is a fair price.
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
    """Round what was solved for as well, as far as it does not live on its last digits; the error.

    Its values span many orders of magnitude, some beyond those of float16: these become float32, or
    all of them where float16 does harm.
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
    """As float16, or as float32 what is too large for that."""
    half = values.half()
    return half if bool(half.isfinite().all()) else values.float()
