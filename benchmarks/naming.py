"""Who of a caption's names is which face? Chance, EM, SECLA and SECLA-B on names of the news.

    python benchmarks/naming.py FOLDER_OF_NEWS_FACES lfw112.tar OUT [METHOD ...]

The names and their faces are of 10,976 photographs of the news (Berg et al., CVPR 2004, as labelled in a public
repository), whose pixels are not at hand. So the n-th face of a person is the person's n-th crop of LFW, which was made
out of the same photographs, and each crop stands in for one face. Records with a named face for which LFW has no crop
are left out. Nameless faces are crops of LFW people whom no caption names, each about twice; those of held-out records
are of other people than those of the rest. A fifth of the records is held out by a seeded draw: their captions are
never learned from. Candidates are sorted, since the published order says who has a face.
"""

import gzip
import json
import sys
import tarfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

import nonesuch
from nonesuch.core.seeding import Stream, derive_seed, uniform
from nonesuch.measures.naming import NOBODY, LinkFigures, link_figures

HELD_OUT, DRAWS = 0.2, 20
METHODS = ("em", "secla", "secla-b", "both")
Record = dict[str, Any]


def crops_of(lfw: Path) -> dict[str, list[str]]:
    """Files of each LFW person, in order of their names."""
    found = defaultdict(list)
    with tarfile.open(lfw) as archive:
        for name in sorted(archive.getnames()):
            if name.endswith(".jpg"):
                found[name.split("/")[0]].append(name)
    return dict(found)


def records_of(folder: Path, lfw: Path) -> list[Record]:
    """Records as `nonesuch name` takes them, with truth and split."""
    crops = crops_of(lfw)
    published = {}
    for part in ("one", "one_rest"):
        published |= json.loads(
            gzip.decompress((folder / f"gt_dict_cleaned_phi_face_name_{part}.json.gz").read_bytes())
        )
    who = {person for record in published.values() for person in record["ner"]}
    strangers = sorted(set(crops) - who - {person.removeprefix("NOFACE") for person in who})
    cut = round(HELD_OUT * len(strangers))
    pools = {
        split: [crop for person in people for crop in crops[person]]
        for split, people in (("test", strangers[:cut]), ("train", strangers[cut:]))
    }
    used: dict[str, int] = defaultdict(int)
    records = []
    for key in sorted(published):
        record = published[key]
        split = "test" if uniform(derive_seed(0, int(key)), Stream.SPLIT, 1)[0] < HELD_OUT else "train"
        places = list(zip(record["ner"], (names[0] for names in record["name_list"]), strict=True))
        seen = [(person, name) for person, name in places if not person.startswith("NOFACE")]
        named = [person for person, _ in seen if not person.startswith("NONAME")]
        if not seen or any(used[person] >= len(crops.get(person, ())) for person in named):
            continue
        faces, truth = [], []
        for person, name in seen:
            nameless = person.startswith("NONAME")
            pool = pools[split] if nameless else crops[person]
            faces.append(pool[used[split if nameless else person] % len(pool)])
            used[split if nameless else person] += 1
            truth.append(None if nameless else name)
        names = sorted({name for person, name in places if not person.startswith("NONAME")})
        records.append({"image": key, "faces": faces, "names": names, "truth": truth, "split": split})
    return records


def chance(records: list[Record], draws: int) -> LinkFigures:
    """Each face has one of its caption's names, each as likely as the others."""
    rng = np.random.default_rng(0)
    found, truth, names = [], [], []
    for _ in range(draws):
        for record in records:
            count = len(record["names"])
            found.append([int(rng.integers(count)) if count else NOBODY for _ in record["faces"]])
            truth.append([NOBODY if name is None else record["names"].index(name) for name in record["truth"]])
            names.append(count)
    return link_figures(found, truth, names, resamples=0)


def row(method: str, figures: LinkFigures, seconds: float | None = None) -> str:
    """A row of the table; the interval is of F1."""
    values = (figures.precision, figures.recall, figures.f1, figures.faces_right)
    shown = [f"{100 * figure.value:.1f}%" for figure in values]
    if figures.f1.low == figures.f1.low:
        shown[2] += f" ({100 * figures.f1.low:.1f}-{100 * figures.f1.high:.1f})"
    return f"| {method} | {' | '.join(shown)} | {'' if seconds is None else f'{seconds:.0f} s'} |"


def main(folder: Path, lfw: Path, out: Path, methods: tuple[str, ...]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    records, vectors = out / "records.jsonl", out / "lfw.parquet"
    made = records_of(folder, lfw)
    records.write_text("".join(json.dumps(record) + "\n" for record in made), encoding="utf-8")
    if not vectors.exists():
        nonesuch.embed_photographs(lfw, vectors, device="cpu")
    held_out = [record for record in made if record["split"] == "test"]
    before = {name for record in made if record["split"] == "train" for name in record["names"]}
    truths = [name for record in held_out for name in record["truth"] if name is not None]
    print(f"{len(made):,} records, {sum(len(record['faces']) for record in made):,} faces", end=", ")
    print(f"{sum(name is None for record in made for name in record['truth']):,} of them nameless; held out:", end=" ")
    print(f"{len(held_out):,} records; {np.mean([name in before for name in truths]):.1%} of their faces' names occur")
    print("| method | precision | recall | F1 | faces right | time |\n|---|---|---|---|---|---|")
    print(row("a name at random", chance(held_out, DRAWS)))
    for method in methods:
        began = time.monotonic()
        found = nonesuch.name_faces(records, vectors, out / "named", method=method, device="cpu")
        assert found.figures is not None
        # "both" takes the towers that "secla" trained, and its time is what is left to do.
        print(row(method, found.figures, time.monotonic() - began), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), tuple(sys.argv[4:]) or METHODS)
