"""What an audit is asked for: checked, named and loaded before any image is looked at."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from nonesuch.audit.figures.images import check_target
from nonesuch.audit.judges.brought_files import brisque_judge, clip_iqa_judge
from nonesuch.audit.judges.inception import load_inception
from nonesuch.audit.looking import INCEPTION, Eyes
from nonesuch.captions.analysis.relevance import RelevanceJudge
from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import AnyPath
from nonesuch.core.weights import read_card
from nonesuch.embedders.embedder import Embedder
from nonesuch.models import card_type, load_detector, load_embedder, load_flip, load_perceiver, shipped_weights


def check_reference(
    against: Sequence[Path], control: Sequence[Path], held_out: Path | None, inception: Path | None
) -> None:
    """Raises NonesuchError where the options about photographs contradict one another."""
    if (held_out or control or inception) and not against:
        raise NonesuchError("--held-out, --control and --inception go with --against, the photographs to compare with")
    if shared := {path.resolve() for path in control} & {path.resolve() for path in against}:
        raise NonesuchError(f"{shared.pop()}: the control must show other people than --against; name another source")


def load_eyes(
    embedders: Sequence[str],
    brisque: tuple[AnyPath, AnyPath] | None,
    clip_iqa: tuple[AnyPath, AnyPath] | None,
    inception: Path | None,
    relevance: str | Path | None,
    align: bool,
    device: str,
    dtype: str,
) -> Eyes:
    """Everything that looks at images; errors as in loading each."""
    detector = load_detector(device)
    return Eyes(
        _embedders(embedders, device, dtype),
        detector,
        read_card(shipped_weights("mtcnn"), card_type("mtcnn")).sha256,
        load_perceiver(device=device, dtype=dtype),
        align,
        (
            *([] if brisque is None else [brisque_judge(Path(brisque[0]), Path(brisque[1]))]),
            *([] if clip_iqa is None else [clip_iqa_judge(Path(clip_iqa[0]), Path(clip_iqa[1]), device)]),
        ),
        None if inception is None else load_inception(inception, device),
        None if relevance is None else RelevanceJudge(load_flip(relevance, device), detector),
    )


def _embedders(names: Sequence[str], device: str, dtype: str) -> dict[str, Embedder]:
    """Embedders by the names of their columns and figures: a file goes by its name, which must do for a folder too."""
    if not names:
        raise NonesuchError("--embedder: name at least one")
    found: dict[str, Embedder] = {}
    for name in dict.fromkeys(names):
        called = re.sub(r"[^\w.-]", "_", Path(name).stem if Path(name).suffix in (".safetensors", ".onnx") else name)
        if called in found or called == INCEPTION:
            raise NonesuchError(f"--embedder {name}: another one is also called {called}; rename the file")
        found[called] = load_embedder(name, device, dtype)
    return found


def dataset_names(datasets: Sequence[Path]) -> dict[str, Path]:
    """The name of each dataset: that of its file or folder, with the folder above where two have the same name.

    Raises:
        NonesuchError: there is none, or two have the same name even so.
    """
    if not datasets:
        raise NonesuchError("name a dataset to audit")
    found: dict[str, Path] = {}
    for path in datasets:
        name = path.resolve().name.removesuffix(".tar")
        if name in found:
            name = f"{path.resolve().parent.name}-{name}"
        if name in found:
            raise NonesuchError(f"{path}: given twice, or its name is that of another one; rename one")
        found[name] = path
    return found


def read_target(path: Path | None) -> Mapping[str, Mapping[str, float]]:
    """Wanted shares by grouping and group; none for None.

    Raises:
        NonesuchError: the file is not JSON of that form, or names something unknown.
    """
    if path is None:
        return {}
    target = files.read_json(path)
    for grouping, wanted in target.items():
        if not isinstance(wanted, dict) or not all(type(share) in (int, float) for share in wanted.values()):
            raise NonesuchError(f"{path}: {grouping} must be an object of shares by group")
    check_target(target)
    return target
