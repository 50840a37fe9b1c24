"""How often do the rules of --face take the face of the label, where a photograph shows several?

    python benchmarks/several_faces.py lfw112.tar lfw_heldout_people.txt FOLDER_OF_NEWS_FACES

First, photographs of the news (Berg et al., CVPR 2004) with the places of their faces and the person in the caption
that each is. Where the caption names exactly one of several faces, is it the largest? Second, composites: of LFW people
with at least four images, half of the images (at least two) stand alone in a picture, and the others beside a stranger,
whose side is 0.5 to 2 times theirs. The stranger is another person of the list, on the left or on the right.
"""

import gzip
import io
import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image

from nonesuch.formats.photographs import HeldPhotograph, Photograph, read_names
from nonesuch.formats.readers import find
from nonesuch.identities.embedding import Tally, embed_each
from nonesuch.models import load_detector, load_embedder
from nonesuch.perception.faces import CLOSEST, LARGEST

PEOPLE, IMAGES, NOBODY = 60, 6, "NONAMEWRONG"


def news(folder: Path) -> None:
    one, rest = (
        json.loads(gzip.decompress((folder / f"gt_dict_cleaned_phi_face_name_{name}.json.gz").read_bytes()))
        for name in ("one", "one_rest")
    )
    several = len(rest) / (len(rest) + len(one))
    close, named, taken = 0, 0, 0
    for record in rest.values():
        sizes = np.array(record["face_size"], dtype=float)
        second, first = np.sort(sizes)[-2:]
        close += bool(second**2 >= first**2 / 2)
        who = [place for place, name in enumerate(record["name"]) if name != NOBODY]
        if len(who) == 1:
            named += 1
            taken += bool(np.argmax(sizes) == who[0])
    print(f"news: {len(one) + len(rest)} photographs, {several:.1%} with several faces")
    print(f"  second face at least half as large: {close / len(rest):.1%} of those")
    print(f"  exactly one face named: {named}; the largest is that one in {taken} ({taken / named:.1%})")


def picture(faces: list[tuple[Image.Image, int]], rng: np.random.Generator) -> bytes:
    """The faces side by side, at sides in pixels, in random order."""
    canvas = Image.new("RGB", (sum(side for _, side in faces) + 60 * (len(faces) + 1), 340), (110, 110, 110))
    left = 60
    for place in rng.permutation(len(faces)):
        face, side = faces[place]
        canvas.paste(face.resize((side, side), Image.Resampling.BICUBIC), (left, 30))
        left += side + 60
    buffer = io.BytesIO()
    canvas.save(buffer, "PNG")
    return buffer.getvalue()


def composites(source: Path, people: Path) -> tuple[list[Photograph], list[Photograph], list[bool]]:
    """Pictures; the crop that each is made for; and whether a stranger stands beside it."""
    names, rng = read_names(people), np.random.default_rng(0)
    images = defaultdict(list)
    for item in find(source):
        if item.identity in names:
            images[item.identity].append(item)
    chosen = sorted(person for person, items in images.items() if len(items) >= 4)[:PEOPLE]
    strangers = sorted(set(images) - set(chosen))
    pictures: list[Photograph] = []
    crops, beside = [], []
    for person in chosen:
        for number, item in enumerate(images[person][:IMAGES]):
            faces = [(Image.fromarray(item.read()), 140)]
            beside.append(number >= max(2, len(images[person][:IMAGES]) // 2))
            if beside[-1]:
                other = images[strangers[rng.integers(len(strangers))]][0]
                faces.append((Image.fromarray(other.read()), round(140 * 2 ** rng.uniform(-1, 1))))
            data = picture(faces, rng)
            pictures.append(HeldPhotograph(f"{person}/{number}.png", person, source, data=data))
            crops.append(item)
    return pictures, crops, beside


def rules(source: Path, people: Path) -> None:
    pictures, crops, beside = composites(source, people)
    embedder, detector = load_embedder("mobilefacenet", "cpu"), load_detector("cpu")
    judge = load_embedder("dlib_resnet", "cpu")
    truth = judge.embed(np.stack([item.read_crop() for item in crops]))
    for rule in (LARGEST, CLOSEST):
        tally = Tally()
        right = wrong = flagged = 0
        for row, found in enumerate(tally.of(embed_each(pictures, embedder, detector, face=rule))):
            if not beside[row] or (found.faces or 0) < 2:
                continue
            crop = found.read_crop()
            assert crop is not None
            unit = np.stack([judge.embed(crop[None])[0], truth[row]])
            unit /= np.linalg.norm(unit, axis=1, keepdims=True)
            good = bool(unit[0] @ unit[1] > SAME_PICTURE)
            right, wrong = right + good, wrong + (not good)
            flagged += found.unclear and not good
        told = f"{sum(tally.unclear)} unclear, {flagged} of the {wrong} wrong ones among them"
        print(f"{rule}: {right} of {right + wrong} pictures with two faces give the label's ({told})")


SAME_PICTURE = 0.93  # of dlib's vectors: the pasted crop and the crop that is found in the picture again

if __name__ == "__main__":
    news(Path(sys.argv[3]))
    rules(Path(sys.argv[1]), Path(sys.argv[2]))
