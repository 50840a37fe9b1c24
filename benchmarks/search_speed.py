"""How long does an exact search take, and how much memory?

    python benchmarks/search_speed.py [--images 100000 1000000] [--dim 128]

Vectors are random, and lie as a dataset keeps them, in half precision. Timed are reading them, and one search with the
text encoder's work in it. An index library would have to beat the search.
"""

import argparse
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from rich.console import Console
from rich.table import Table

from nonesuch import load_flip
from nonesuch.core import parquet
from nonesuch.core.allocator import keep_memory
from nonesuch.dataset.text_image_vectors import vectors_in
from nonesuch.language.search_faces import best

console = Console(highlight=False, width=120)
_PART = 4096


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--model", default="flip_small")
    options = parser.parse_args()
    keep_memory()
    model = load_flip(options.model, "cpu")
    model.text_vectors(["warm up"])
    table = Table("images", "read", "query read", "search", "search again", "vectors", "memory at most")
    draws = np.random.default_rng(0)
    for count in options.images:
        with tempfile.TemporaryDirectory() as folder:
            for part, start in enumerate(range(0, count, _PART)):
                raw = draws.standard_normal((min(_PART, count - start), model.card.dim), dtype=np.float32)
                raw /= np.linalg.norm(raw, axis=1, keepdims=True)
                lists = pa.FixedSizeListArray.from_arrays(pa.array(raw.astype(np.float16).ravel()), model.card.dim)
                parquet.write_table(pa.table({"vector": lists}), Path(folder) / f"{part:06d}.parquet")
            times = [time.perf_counter()]
            vectors = np.empty((count, model.card.dim), dtype=np.float32)
            there = np.zeros(count, dtype=bool)
            for part, start in enumerate(range(0, count, _PART)):
                span = slice(start, min(start + _PART, count))
                column = parquet.read_table(Path(folder) / f"{part:06d}.parquet")["vector"]
                there[span], vectors[span] = vectors_in(column, model.card.dim)
            times.append(time.perf_counter())
            wanted = model.text_vectors(["a young woman with glasses, smiling"])[0]
            times.append(time.perf_counter())
            for _ in range(2):
                rows, _ = best(vectors, wanted, 20)
                times.append(time.perf_counter())
            assert np.array_equal(rows, np.argsort(-(vectors @ wanted), kind="stable")[:20])
        spent = np.diff(times)
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        cells = [f"{seconds:.3f} s" for seconds in spent]
        table.add_row(f"{count:,}", *cells, f"{vectors.nbytes / 2**20:,.0f} MB", f"{most:,.0f} MB")
    console.print(f"{torch.get_num_threads()} threads, {model.card.dim} numbers an image")
    console.print(table)


if __name__ == "__main__":
    main()
