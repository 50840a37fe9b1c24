"""Naming by SECLA and SECLA-B: train the towers on records, then hold each face against its caption's names."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nonesuch.core.errors import NonesuchError
from nonesuch.core.seeding import Stream, permutation
from nonesuch.language.naming.deciding import Named, decided
from nonesuch.language.naming.names_text import SCHEME, name_vectors, null_name, plain_name
from nonesuch.language.naming.network import NamingTowers
from nonesuch.language.naming.records import Record
from nonesuch.language.naming.training import (
    Learned,
    NamingRecipe,
    NamingSamples,
    NamingTask,
    Vectors,
    known_faces,
)
from nonesuch.loop import run_folder
from nonesuch.loop.progress import OnProgress
from nonesuch.loop.runs import RunOptions
from nonesuch.loop.step_results import Progress
from nonesuch.loop.trainer import Trainer

SECLA, SECLA_B = "secla", "secla-b"
_WHOLE = NamingRecipe(epochs=24)
_CERTAIN, _REST = NamingRecipe(epochs=15), NamingRecipe(epochs=20)  # as published
_NAME_LENGTH = 14.0  # about that of faces
_REFERENCE = 4096  # names and faces, at most, that say what a score is by chance
_FEWEST = 2  # records: a loss tells the own caption from another one


def name_by_secla(
    records: Sequence[Record],
    units: NDArray[np.float32],
    out: Path,
    run: RunOptions,
    method: str,
    what: dict[str, Any],
    on_progress: OnProgress,
) -> Named:
    """Give names to the faces of all records; a repeated call resumes what `out` holds.

    Args:
        units: (M, D) vectors of length 1, which the records' faces are rows of.
        out: folder for a folder of each stage.
        method: "secla" or "secla-b".
        what: names the data, JSON-ready.

    Raises:
        NonesuchError: there are too few records, `out` holds another run, or the training diverges.
    """
    names = list(dict.fromkeys(plain_name(name) for record in records for name in record.names))
    rows = {name: row for row, name in enumerate(names)}
    of_names = [tuple(rows[plain_name(name)] for name in record.names) for record in records]
    vectors = Vectors(
        units * np.float32(units.shape[1] ** 0.5),
        np.float32(_NAME_LENGTH) * np.concatenate([name_vectors(names), null_name()[None]]),
    )
    learned = [
        Learned(record.faces, own)
        for record, own in zip(records, of_names, strict=True)
        if record.learned and record.faces and own
    ]
    with run.processes() as place:
        torch.manual_seed(run.seed)
        towers = NamingTowers(units.shape[1], vectors.names.shape[1]).to(place)
        what = {"method": method, "names": SCHEME, **what}
        fit = partial(_fit, towers, run=run, place=place, what=what, on_progress=on_progress)
        if method == SECLA:
            fit(NamingSamples(learned, vectors), _WHOLE, folder=out / SECLA, told="training")
        else:
            certain, rest = [one for one in learned if one.certain], [one for one in learned if not one.certain]
            if len(certain) < _FEWEST:
                raise NonesuchError(
                    f"secla-b begins with records of one face and one name, and there are {len(certain)}; "
                    f"give --method {SECLA}"
                )
            fit(NamingSamples(certain, vectors), _CERTAIN, folder=out / "secla-b-certain", told="training on certain")
            if len(rest) >= _FEWEST:
                known = known_faces(certain, vectors.faces)
                fit(
                    NamingSamples(rest, vectors, known), _REST, folder=out / "secla-b-rest", told="training on the rest"
                )
        faces_of = sorted({face for one in learned for face in one.faces})
        return decided(_evidence(towers, vectors, records, of_names, faces_of), records)


def _fit(
    towers: NamingTowers,
    samples: NamingSamples,
    recipe: NamingRecipe,
    *,
    folder: Path,
    told: str,
    run: RunOptions,
    place: torch.device,
    what: dict[str, Any],
    on_progress: OnProgress,
) -> None:
    """Train the towers in place, or take what the folder's finished run has; its average is what they become."""
    if len(samples) < _FEWEST:
        raise NonesuchError(f"one record with faces and names is too few to learn from; give at least {_FEWEST}")
    batch = min(run.schedule.batch or recipe.batch, len(samples))  # stages differ in size, and small sets are usual
    run = replace(run, schedule=replace(run.schedule, batch=batch))
    settings = run.settings(recipe, len(samples))

    def tell(progress: Progress) -> None:
        on_progress(told, progress.seen, progress.total, progress.note)

    with run_folder.claimed(folder, settings, what):
        trainer = Trainer(NamingTask(towers), samples, settings, folder, place, what)
        trainer.run(tell, lambda: None)
    towers.load_state_dict(trainer.averaged())


@torch.no_grad()
def _evidence(
    towers: NamingTowers,
    vectors: Vectors,
    records: Sequence[Record],
    of_names: Sequence[Sequence[int]],
    learned_faces: Sequence[int],
) -> list[NDArray[np.float64]]:
    """(F, N) of each record: how much better a face and a name fit than either does with others, in nats.

    At the optimum of a contrastive loss a score is the log-likelihood ratio of belonging together, but for an amount
    that each face and each name may have of its own (van den Oord et al., arXiv 1807.03748). The mean over other names
    and over other faces shows that amount.
    """
    towers.eval()
    place = towers.null_face.device
    faces = towers.of_faces(torch.from_numpy(vectors.faces).to(place)).double()
    names = towers.of_names(torch.from_numpy(vectors.names[:-1]).to(place)).double()
    other_names = names[torch.from_numpy(permutation(0, Stream.SPLIT, len(names))[:_REFERENCE]).to(place)]
    drawn = np.array(learned_faces)[permutation(0, Stream.SPLIT, len(learned_faces))[:_REFERENCE]]
    other_faces = faces[torch.from_numpy(drawn).to(place)]
    of_face = _log_mean(faces, other_names)
    of_name = _log_mean(names, other_faces)
    of_all = _log_mean_of(_log_mean(other_faces, other_names)[None])
    found = []
    for record, own in zip(records, of_names, strict=True):
        rows, columns = list(record.faces), list(own)
        scores = faces[rows] @ names[columns].T - of_face[rows][:, None] - of_name[columns][None] + of_all
        found.append(scores.cpu().numpy())
    return found


def _log_mean(ours: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """(N,) log of the mean of the exponentials of each one's scores with all others, some thousand at a time."""
    return torch.cat([_log_mean_of(part @ others.T) for part in ours.split(1024)])


def _log_mean_of(scores: torch.Tensor) -> torch.Tensor:
    return scores.logsumexp(1) - float(np.log(scores.shape[1]))
