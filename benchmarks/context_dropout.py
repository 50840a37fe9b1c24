"""IDiff-Face's central claim: more contextual partial dropout, less identity and more variety (needs matplotlib).

    python benchmarks/context_dropout.py WORK --run diffusion_run [--images 15000]

RUN is the folder of a training of idiff_small. Its weights are trained on three times, on its latents and vectors,
alike but for the share of the context that training leaves out: 0, .25 and .5. Then each draws the same people from the
same seeds. Identity is the cosine of mated pairs less that of non-mated ones, by two embedders. Variety is the standard
deviation within identities of the pixels and of the yaw. WORK/context_dropout.json and .png hold the results; the same
command resumes.
"""

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from sampled_people import sample_people, told_apart

from nonesuch import create_model, load_embedder, load_generator, load_perceiver
from nonesuch.core import files, parquet
from nonesuch.core.allocator import keep_memory
from nonesuch.core.devices import channels_last
from nonesuch.core.seeding import derive_seed
from nonesuch.core.tables import embeddings
from nonesuch.embedders.embedder import Embedder
from nonesuch.generators.generator import to_grey_levels
from nonesuch.generators.idiff.diffusion_training import DiffusionTask, LatentSamples
from nonesuch.generators.idiff.generator import IDiffGenerator
from nonesuch.generators.idiff.network import LatentDiffusion
from nonesuch.generators.idiff.presets import DIFFUSION_RECIPES
from nonesuch.loop.run_folder import LATENTS, VECTORS
from nonesuch.loop.settings import TrainSettings
from nonesuch.loop.step_results import Progress
from nonesuch.loop.trainer import Trainer
from nonesuch.measures.diversity import within_identities
from nonesuch.measures.similarity import normalised
from nonesuch.pages.contact_sheet import write_contact_sheet

SHARES = (0.0, 0.25, 0.5)
EMBEDDERS = ("mobilefacenet", "dlib_resnet")
PRESET = "idiff_small"
RECIPE = DIFFUSION_RECIPES[PRESET]
SHOWN = 6  # people on the contact sheet


def network(share: float, generator: IDiffGenerator) -> LatentDiffusion:
    """The generator's network, to be trained with that share of its context left out."""
    built = create_model(PRESET, **{**generator.card.sizes, "context_dropout": share})
    built.load_state_dict(generator.network.state_dict())
    assert isinstance(built, LatentDiffusion)
    return channels_last(built)


def trained(share: float, options: argparse.Namespace, start: IDiffGenerator, embedder: Embedder) -> IDiffGenerator:
    """A generator that has learned with that share of its context left out."""
    folder = options.work / f"left_out_{share:g}"
    files.make_folder(folder)
    diffusion = network(share, start)
    task = DiffusionTask(diffusion, embedder, RECIPE)
    latents = np.load(options.run / LATENTS, mmap_mode="r", allow_pickle=False)
    vectors = embeddings(parquet.read_table(options.run / VECTORS)["embedding"].drop_null())
    task.latent_scale = start.card.latent_scale
    samples = LatentSamples(latents, vectors, task.latent_scale, RECIPE.without_identity)
    settings = TrainSettings(
        images=options.images,
        batch=RECIPE.batch,
        lr=RECIPE.lr / 2.0,
        warmup=RECIPE.warmup,
        ema_images=RECIPE.ema_images,
        weight_decay=RECIPE.weight_decay,
    )
    what = {"share": share, "start": start.card.sha256, "recipe": asdict(RECIPE), "settings": asdict(settings)}
    trainer = Trainer(task, samples, settings, folder, torch.device("cpu"), what)

    def tell(progress: Progress) -> None:
        if trainer.step % 100 == 0:
            print(f"{share:g} left out: {progress.seen:,} of {progress.total:,}, {progress.note}", flush=True)

    trainer.run(tell, lambda: None)
    diffusion.unet.load_state_dict(trainer.averaged())
    return IDiffGenerator(start.card, diffusion.eval(), start.device)


def measured(images: np.ndarray, people: np.ndarray, asked: np.ndarray) -> dict[str, float]:
    """Identity and variety of uint8 images with labels `people`, drawn from the vectors `asked`."""
    figures: dict[str, float] = {}
    for name in EMBEDDERS:
        embedder = load_embedder(name, "cpu")
        unit = normalised(embedder.embed(images))
        figures |= told_apart(name, unit, people)
        if name == EMBEDDERS[0]:
            figures["cosine to the vector"] = float((unit * normalised(asked)[people]).sum(1).mean())
    flat = images.reshape(len(images), -1).astype(np.float32)
    pixels = [flat[people == person].std(axis=0, ddof=1).mean() for person in np.unique(people)]
    figures["pixels"] = float(np.mean(pixels))
    yaw = load_perceiver(device="cpu").perceive(images)["yaw"]
    figures["yaw"] = float(within_identities(np.asarray(yaw, dtype=np.float64), people)[0].value)
    return figures


def draw(results: dict[str, dict[str, float]], path: Path) -> None:
    """Identity against variety, a curve for each embedder."""
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained", sharey=True)
    for axis, (key, label) in zip(
        axes, (("pixels", "sd of pixels within identities, grey levels"), ("yaw", "sd of yaw, degrees")), strict=True
    ):
        for embedder in EMBEDDERS:
            points = [(row[key], row[f"mated, {embedder}"] - row[f"non-mated, {embedder}"]) for row in results.values()]
            axis.plot(*zip(*points, strict=True), marker="o", label=embedder)
            for name, point in zip(results, points, strict=True):
                axis.annotate(f"{name}", point, textcoords="offset points", xytext=(4, 4), fontsize=8)
        axis.set_xlabel(label)
        axis.margins(0.15)
    axes[0].set_ylabel("mated - non-mated cosine")
    axes[0].legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--run", type=Path, required=True, help="folder of a diffusion's training")
    parser.add_argument("--images", type=int, default=15_000, help="that each sees")
    parser.add_argument("--identities", type=int, default=100)
    parser.add_argument("--each", type=int, default=5, help="images of each identity")
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_memory()
    embedder = load_embedder(EMBEDDERS[0], "cpu")
    start, default = (load_generator(name, "cpu") for name in (options.run / f"{PRESET}.safetensors", "vec2face_small"))
    assert isinstance(start, IDiffGenerator)
    asked = sample_people("vec2face_small", default, embedder, options.identities, 0)
    people = np.repeat(np.arange(options.identities), options.each)
    seeds = np.array([derive_seed(0, image) for image in range(len(people))], dtype=np.uint64)
    results: dict[str, dict[str, Any]] = {}
    rows = []
    for share in SHARES:
        generator = trained(share, options, start, embedder)
        images = to_grey_levels(generator.render(asked[people], seeds, 16))
        results[f"{share:g}"] = measured(images, people, asked)
        print(f"{share:g}", {name: round(value, 3) for name, value in results[f"{share:g}"].items()}, flush=True)
        rows.append(list(images[: SHOWN * options.each].reshape(-1, *images.shape[1:])))
    files.write_json(options.work / "context_dropout.json", {"images": options.images, "results": results})
    draw(results, options.work / "context_dropout.png")
    write_contact_sheet(rows, options.work / "contact_sheet.png")


if __name__ == "__main__":
    main()
