"""Judges of quality whose weights a user supplies: BRISQUE's regression, CLIP's encoder."""

from pathlib import Path

from nonesuch.audit.judges import brisque
from nonesuch.audit.judges.clip_iqa import load_clip_iqa
from nonesuch.audit.looking import Judge
from nonesuch.core import files

BRISQUE, CLIP_IQA = "brisque", "clip_iqa"  # columns
CLIP_VERSION = "clip_iqa 1"  # increased when the measure changes


def brisque_judge(model: Path, ranges: Path) -> Judge:
    """BRISQUE by the published `allmodel` and `allrange`; errors as in `nonesuch.audit.judges.brisque.regression`."""
    score = brisque.regression(model, ranges)
    made_by = f"{brisque.VERSION} {files.sha256(model)} {files.sha256(ranges)}"
    return Judge(BRISQUE, made_by, lambda crops: score(brisque.features(crops)))


def clip_iqa_judge(encoder: Path, prompts: Path, device: str) -> Judge:
    """CLIP-IQA; errors as in `load_clip_iqa`."""
    judge = load_clip_iqa(encoder, prompts, device)
    made_by = f"{CLIP_VERSION} {files.sha256(encoder)} {files.sha256(prompts)}"
    return Judge(CLIP_IQA, made_by, judge.scores)
