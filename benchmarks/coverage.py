"""How often the intervals of `check` hold the true error, on labelled molecules.

    python benchmarks/coverage.py --model organic --dataset organic --split test [--limit 40]

For the matrix, the occupied levels and the gap: the share of the 68 % intervals that hold the true
error, with one binomial standard deviation (geometries of one molecule count as one); the scatter,
i.e. the standard deviation of ln(true / estimate); and the correlation of the logarithms.
"""

from __future__ import annotations

import argparse

import numpy as np

import workbench as wb
from workbench.evaluation.coverage import agreement, coverage
from workbench.evaluation.errors import aligned_rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="organic")
    parser.add_argument("--dataset", default="organic")
    parser.add_argument("--split", default="test")
    parser.add_argument("--limit", type=int, help="number of samples, drawn with seed 0")
    options = parser.parse_args()
    model = wb.load_model(options.model)
    with wb.Dataset(options.dataset) as data:
        drawn = np.random.default_rng(0).permutation(data.split(options.split))[: options.limit]
        rows = coverage(model, data, sorted(drawn.tolist()))
    molecules = len({row.group for row in rows})
    usable = sum(row.usable for row in rows)
    print(f"{len(rows)} geometries of {molecules} groups; {usable} predictions are called usable")
    table = [["error of", "inside 68 %", "+-", "scatter", "correlation", "median true, meV"]]
    for name, found in agreement(rows).items():
        median = float(np.median([row.true[name] for row in rows]))
        shares = [f"{100 * found.inside:.0f} %", f"{100 * found.uncertainty:.0f} %"]
        numbers = [f"{found.scatter:.2f}", f"{found.correlation:.2f}", f"{median:.3g}"]
        table.append([name, *shares, *numbers])
    print("\n".join(aligned_rows(table)))


if __name__ == "__main__":
    main()
