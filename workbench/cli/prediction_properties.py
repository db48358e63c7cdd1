"""What ``predict --properties`` adds to the numbers of a structure, as JSON and as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workbench.evaluation.predicted import Predicted

__all__ = ["further_properties", "readable"]

_KNOWN = ("level_of_theory", "electrons", "orbital_energies_ev", "total_energy_ev")


def further_properties(found: Predicted) -> dict[str, Any]:
    """The properties of a predicted structure that its other numbers lack; JSON-able.

    Empty without an overlap or a number of electrons, as a note then says.
    """
    if found.S is None or found.n_electrons is None:
        return {}
    numbers = found.properties().to_json()
    return {k: v for k, v in numbers.items() if k not in found.numbers and k not in _KNOWN}


def readable(numbers: dict[str, Any]) -> dict[str, Any]:
    """The same numbers for text: bonds by name, and no table of a density of states."""
    shown = dict(numbers)
    if "bond_orders" in shown:
        shown["bond_orders"] = {f"{i}-{j}": order for i, j, order in shown["bond_orders"]}
    if "density_of_states" in shown:
        shown["density_of_states"] = "a table, with --json"
    return shown
