"""The two stages: an equivariant baseline, and a free refiner fed by its features."""
