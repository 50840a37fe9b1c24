"""Cards and manifests whose fields are of other types, out of their limits, or somebody else's."""

import json
import resource
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nonesuch.core import files
from nonesuch.core.errors import NonesuchError
from nonesuch.core.weights import card_path, check_card
from nonesuch.formats import manifest as manifests
from nonesuch.formats.readers import find
from nonesuch.models import create_model, load_embedder, load_generator, load_perceiver, shipped_weights
from tests.conftest import Cli


def _copy(weights: Path, folder: Path, changes: dict[str, object]) -> Path:
    copy = folder / "copy.safetensors"
    copy.symlink_to(weights)
    card_path(copy).write_text(json.dumps(json.loads(card_path(weights).read_text()) | changes))
    return copy


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("vector_scale", value) for value in (0, -1.0, "1", None, [1.0], True)),
        *(("sigma_mix", value) for value in (5, "", "much", "0.3:", "-0.3", "nan", ["0.3"])),
        *(("feature_dim", value) for value in (0, 1.5, "192", 10**13)),
        *(("max_similarity", value) for value in (2, "0.4")),
        *(("name", value) for value in ("", 5, None)),
        *(("mask", value) for value in (0, {"low": "0"}, {"low": 0.9, "high": 0.1}, {"deep": 1}, {"std": 0})),
        *(("sizes", value) for value in (5, {"depth": "x"}, {"no": 1}, {"feature_dim": -1})),
        ("embedder_sha256", 7),
        ("vector_norm", 0),
    ],
)
def test_a_generator_whose_card_makes_no_sense(tiny_generator: Path, tmp_path: Path, field: str, value: object) -> None:
    with pytest.raises(NonesuchError, match=field) as told:
        load_generator(_copy(tiny_generator, tmp_path, {field: value}), "cpu")
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("architecture", "sizes"),
    [
        ("vec2face_tiny", {"encoder_blocks": 10**6}),
        ("vec2face_tiny", {"encoder_blocks": 60_000}),
        ("vec2face_tiny", {"dim": 10**9, "encoder_heads": 1}),
        ("vec2face_tiny", {"dim": 65_536, "encoder_heads": 1, "decoder_heads": 1}),
        ("vec2face_tiny", {"decoder_widths": [16] * 10**6, "decoder_depths": [1] * 10**6}),
        ("vec2face_tiny", {"style_dim": 1e300}),
        ("vec2face_huge", {"dim": 1600, "feature_dim": 192}),
        ("idiff_tiny", {"latent_side": 10**6}),
        ("idiff_tiny", {"latent_side": 60_000}),
        ("idiff_tiny", {"unet": {"width": 32, "blocks": 10**6}}),
    ],
)
def test_a_card_of_a_giant_costs_neither_time_nor_memory(
    tiny_generator: Path, tmp_path: Path, architecture: str, sizes: dict[str, object]
) -> None:
    """Its weight file holds the tensors of a tiny network."""
    copy = _copy(tiny_generator, tmp_path, {"architecture": architecture, "sizes": sizes})
    if architecture.startswith("idiff"):
        card = json.loads(card_path(copy).read_text())
        del card["mask"]
        card_path(copy).write_text(json.dumps(card | {"sigma_mix": "0:100"}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    with pytest.raises(NonesuchError) as told:
        load_generator(copy, "cpu")
    assert time.process_time() - start < 20
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB
    assert len(str(told.value)) < 600


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("embedding_dim", value) for value in (0, "192", 10**13)),
        *(("thresholds", value) for value in ({"1e-4": "0.5"}, {"1e-4": 5}, {"low": 0.5}, {"7": 0.5}, [0.5])),
        *(("preprocessing", {name: value}) for name, value in {
            "size": 0, "mean": "0", "std": 0, "colour": "cmyk", "chip": [[1, 2], [3, 4]], "sizes": 112,
        }.items()),
        ("preprocessing", {"size": 1 << 30}),
        ("preprocessing", {"mean": [1, 2]}),
        ("preprocessing", 5),
        ("adapter_rank", -1),
    ],
)  # fmt: skip
def test_an_embedder_whose_card_makes_no_sense(tmp_path: Path, field: str, value: object) -> None:
    with pytest.raises(NonesuchError, match=field):
        load_embedder(_copy(shipped_weights("mobilefacenet"), tmp_path, {field: value}), "cpu")


@pytest.mark.parametrize("value", [[], [1.0], [2.0, 1.0], ["1", "2"], 5])
def test_a_perceiver_whose_card_makes_no_sense(tmp_path: Path, value: object) -> None:
    with pytest.raises(NonesuchError, match="quality_norms"):
        load_perceiver(_copy(shipped_weights("perceiver"), tmp_path, {"quality_norms": value}), "cpu")


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"name": NaN}', b'{"vector_scale": 1e999}', b"\xff", b"5", b""])
def test_json_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(NonesuchError, match=r"a\.json: (not readable as JSON|holds no JSON object)"):
        files.read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf" + b'{"a": 1}\r\n')
    assert files.read_json(tmp_path / "a.json") == {"a": 1}


def test_cards_that_ship_are_sound() -> None:
    for load in (load_embedder, load_generator, load_perceiver):
        name = {load_embedder: "dlib_resnet", load_generator: "vec2face_small", load_perceiver: "perceiver"}[load]
        check_card(load(name, "cpu").card)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, "5") for name in ("identities", "images", "shows_real_people", "complete")),
        *(("shards", value) for value in (5, [5], [{"sha256": 5}], [{}])),
        *(
            ("render", value)
            for value in (5, {}, {"codec": "gif", "dtype": "float32"}, {"codec": ["jpeg"], "dtype": ""})
        ),
        *(("generator", value) for value in (None, "vec2face", {})),
        ("images", -1),
        ("options", []),
        ("unknown", 5),
    ],
)
def test_a_manifest_that_makes_no_sense(tmp_path: Path, field: str, value: object) -> None:
    origin = {"name": "g", "sha256": "", "embedder": "e", "embedder_sha256": "", "licence": "l"}
    sound = manifests.Manifest(
        description="d", shows_real_people=False, identities=1, images=1, options={}, generator=origin,
        render={"codec": "jpeg", "dtype": "float32"}, licence="l", plan_sha256="", identities_sha256="",
    )  # fmt: skip
    manifests.write(tmp_path, sound)
    assert manifests.read(tmp_path) == sound
    content = json.loads((tmp_path / manifests.MANIFEST).read_text()) | {field: value}
    (tmp_path / manifests.MANIFEST).write_text(json.dumps(content))
    with pytest.raises(NonesuchError, match=r"dataset\.json: damaged"):
        manifests.read(tmp_path)


@pytest.mark.parametrize("content", ['{"labels": [["ann/1.png", 0]]}', "[]", "no JSON"])
def test_a_dataset_json_of_others_is_none_of_ours(cli: Cli, tmp_path: Path, content: str) -> None:
    (tmp_path / "ann").mkdir()
    Image.fromarray(np.zeros((112, 112, 3), np.uint8)).save(tmp_path / "ann" / "1.png")
    (tmp_path / "dataset.json").write_text(content)
    assert [item.identity for item in find(tmp_path)] == ["ann"]
    assert "no dataset here (no dataset.json of ours)" in cli("verify", tmp_path).error
    assert "holds other files and no dataset" in cli("generate", tmp_path).error
    assert (tmp_path / "dataset.json").read_text() == content


def test_a_damaged_manifest_of_ours_is_not_taken_for_a_folder(cli: Cli, tiny_generator: Path, tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    options = ["--generator", tiny_generator, "--identities", 2, "--images", 1, "--plan-only"]
    assert cli("generate", folder, *options).status == 0
    (folder / "dataset.json").write_text("torn")
    shutil.copyfile(folder / "dataset.json", folder / "copy.json")
    assert "not readable as JSON" in cli("verify", folder).error
    assert "not readable as JSON" in cli("generate", folder, *options).error
    assert (folder / "dataset.json").read_text() == "torn"


def test_sizes_of_a_card_draw_nothing() -> None:
    """A seed gives the same network whether or not its sizes are tried without memory first."""
    torch.manual_seed(3)
    plain = create_model("vec2face_tiny")
    torch.manual_seed(3)
    sized = create_model("vec2face_tiny", feature_dim=192)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), sized.parameters(), strict=True))
