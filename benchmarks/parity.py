"""Do our networks give what the published ones give? Every entry of every stored output.

    python benchmarks/parity.py FOLDER

FOLDER holds vec2face_base_{a,c}.npz, iresnet{18,50}.npz and embedders.npz: inputs and outputs of the published code for
weights filled from the tensors' names (tests/filling.py), and of the two shipped embedders.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

sys.path.append(str(Path(__file__).parents[1]))

from nonesuch import create_model, load_embedder
from nonesuch.embedders.embedder import freeze
from tests.filling import fill


def vec2face(folder: Path) -> list[tuple[str, float, float]]:
    network = create_model("vec2face_base").eval()
    fill(network)
    rows = []
    for name in ("vec2face_base_a", "vec2face_base_c"):
        stored = np.load(folder / f"{name}.npz")
        ratios = float(stored["mask_ratio"]), float(stored["drop_ratio"])
        tokens = network.tokens(torch.from_numpy(stored["vectors"]), torch.from_numpy(stored["noise"]), *ratios)
        feature_map = network.im_decoder_proj(tokens).transpose(1, 2).reshape(2, 256, 7, 7)
        rows.append((f"{name} feature_map", relative(feature_map, stored["feature_map"]), 1e-4))
        rows.append((f"{name} image", relative(network.decode(tokens), stored["image"]), 2e-4))
    return rows


def iresnet(folder: Path) -> list[tuple[str, float, float]]:
    rows = []
    for depth in (18, 50):
        stored = np.load(folder / f"iresnet{depth}.npz")
        network = create_model(f"iresnet{depth}").eval()
        fill(network)
        crops = np.random.default_rng(int(stored["seed"])).uniform(-1, 1, (2, 3, 112, 112)).astype(np.float32)
        difference = np.abs(network(torch.from_numpy(crops)).numpy() - stored["embedding"]).max()
        rows.append((f"iresnet{depth} embedding", difference / np.abs(stored["embedding"]).max(), 1e-4))
    return rows


def embedders(folder: Path) -> list[tuple[str, float, float]]:
    stored = np.load(folder / "embedders.npz")
    rows = []
    for name in ("mobilefacenet", "dlib_resnet"):
        key = name.removesuffix("_resnet")
        shown = torch.from_numpy(load_embedder(name, "cpu").embed(stored["pixels"]))
        rows.append((f"{name} on photographs", relative(shown, stored[key]), 1e-4))
        shape, low, high = ((2, 3, 112, 112), -1, 1) if key == "mobilefacenet" else ((2, 3, 150, 150), 0, 255)
        noise = np.random.default_rng(0).uniform(low, high, shape).astype(np.float32)
        network = freeze(create_model(name, pretrained=True), torch.device("cpu"))
        difference = np.abs(network(torch.from_numpy(noise)).numpy() - stored[f"{key}_random"]).max()
        rows.append((f"{name} on noise", difference / stored[key].std(), 1e-4))
    return rows


def relative(ours: torch.Tensor, stored: np.ndarray) -> float:
    return float(np.abs(ours.numpy() - stored).max() / stored.std())


@torch.inference_mode()
def main() -> None:
    folder = Path(sys.argv[1])
    table = Table("output", "largest difference / spread", "tolerance", "holds")
    rows = vec2face(folder) + iresnet(folder) + embedders(folder)
    for name, difference, tolerance in rows:
        table.add_row(name, f"{difference:.1e}", f"{tolerance:.0e}", "yes" if difference <= tolerance else "NO")
    Console().print(table)
    sys.exit(any(difference > tolerance for _, difference, tolerance in rows))


if __name__ == "__main__":
    main()
