"""What `nonesuch generate` says of steered images."""

from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from nonesuch.dataset.columns import read_columns
from nonesuch.steering.columns import GROUP
from nonesuch.steering.wishes import Wish


def show_steering(out: Path, wishes: list[Wish], min_age: float | None) -> None:
    """Say how many of the images of which something is wished show it, and after how many steps."""
    found = read_columns(out, GROUP)
    limits = [name for name in found.column_names if name.endswith(("_low", "_high"))]
    wished = np.any([found[name].is_valid().to_numpy() for name in limits], axis=0)
    asked = found.filter(pa.array(wished))
    if not len(asked):
        click.echo(f"{out / 'columns' / GROUP}: of no image anything was wished")
        return
    share, steps, cosine = (pc.mean(asked[name]).as_py() for name in ("accepted", "steps", "identity"))
    rest = "" if share == 1.0 else "; the others are kept as near as they came, and marked"
    click.echo(
        f"{out / 'columns' / GROUP}: of {len(asked)} images {share:.1%} show {' and '.join(w.text for w in wishes)}, "
        f"after {steps:.1f} steps, at cosine {cosine:.2f} to their identity{rest}"
    )
    if min_age is not None:
        ages = found["age"].to_numpy()
        click.echo(f"{(ages < min_age).sum()} of {len(ages)} images still look younger than {min_age:g}")
