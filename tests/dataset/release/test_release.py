"""`nonesuch release` through the command line: what it writes, what it refuses, and what `verify` then finds."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import nonesuch
from nonesuch.core.files import text_sha256
from tests.conftest import Cli

DOCUMENTS = ("README.md", "croissant.json", "datasheet.md", "LICENSE.md", "release.json")
RESEARCH = "non-commercial research only"


def _release(cli: Cli, folder: Path, *options: object) -> str:
    outcome = cli("release", folder, *options)
    assert outcome.status == 0, outcome.err
    return outcome.err + outcome.out


def _documents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in DOCUMENTS}


def test_the_same_dataset_gives_the_same_bytes_wherever_it_lies(cli: Cli, faces: Path, tmp_path: Path) -> None:
    _release(cli, faces, "--creator", "Ada", "--creator", "Bob", "--url", "https://example.org/faces")
    other = tmp_path / "elsewhere" / "copy"
    shutil.copytree(faces, other)
    for name in DOCUMENTS:
        (other / name).unlink()
    _release(
        cli, other, "--name", "faces", "--creator", "Ada", "--creator", "Bob", "--url", "https://example.org/faces"
    )
    assert _documents(other) == _documents(faces)
    assert "sound, 12 images verified, and the" in cli("verify", other).out
    before = _documents(faces)
    _release(cli, faces, "--creator", "Ada", "--creator", "Bob", "--url", "https://example.org/faces")
    assert _documents(faces) == before
    assert not list(faces.rglob("*.tmp"))


def test_every_file_is_in_the_record_with_its_hash(cli: Cli, faces: Path) -> None:
    _release(cli, faces)
    record = json.loads((faces / "release.json").read_text())
    there = {path.relative_to(faces).as_posix() for path in faces.rglob("*") if path.is_file()}
    assert there - {"release.json", ".lock"} == set(record["files"])
    for place, file in record["files"].items():
        content = (faces / place).read_bytes()
        assert (file["size"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert [entry["what"] for entry in record["ledger"]][:3] == [
        "generator", "embedder of the vectors", "identity statistics",
    ]  # fmt: skip


def test_without_an_audit_every_document_says_so(cli: Cli, faces: Path) -> None:
    told = _release(cli, faces)
    assert "not audited, and the release says so" in told
    assert "**Not audited.**" in (faces / "README.md").read_text()
    assert "- audit: not audited" in (faces / "datasheet.md").read_text()
    assert "Not audited." in (faces / "croissant.json").read_text()
    assert json.loads((faces / "release.json").read_text())["verdict"] is None


def test_an_audits_verdict_goes_in_but_none_of_its_places(cli: Cli, faces: Path, made: Path) -> None:
    told = _release(cli, faces, "--audit", made / "faces-audit")
    assert "not audited" not in told
    audit = json.loads((made / "faces-audit" / "audit.json").read_text())
    lights = audit["datasets"]["faces"]["verdict"]
    record = json.loads((faces / "release.json").read_text())
    assert record["verdict"]["lights"] == lights
    assert (
        record["verdict"]["audit_sha256"]
        == hashlib.sha256((made / "faces-audit" / "audit.json").read_bytes()).hexdigest()
    )
    card = (faces / "README.md").read_text()
    assert all(f"| {light['colour']} | {light['about']} | {light['by']} |" in card for light in lights)
    assert str(made) not in "".join(data.decode() for data in _documents(faces).values())
    assert cli("verify", faces).status == 0


def test_an_audit_of_other_images_is_refused(cli: Cli, faces: Path, made: Path, tmp_path: Path) -> None:
    audit = json.loads((made / "faces-audit" / "audit.json").read_text())
    for name, damage in (
        ("other", {"datasets": {"faces": audit["datasets"]["faces"] | {"images_sha256": "0" * 64}}}),
        ("older", {"datasets": {"faces": {"verdict": []}}}),
        ("none", {"datasets": None}),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "audit.json").write_text(json.dumps(audit | damage))
        assert "run 'nonesuch audit'" in cli("release", faces, "--audit", tmp_path / name).error
    assert "no such file" in cli("release", faces, "--audit", tmp_path).error
    assert not (faces / "release.json").exists()


def test_the_card_is_one_that_the_hub_reads(cli: Cli, faces: Path) -> None:
    """Its front matter, by another parser, has what the hub's form asks for."""
    _release(cli, faces, "--name", 'fa: "ces" ü', "--licence", RESEARCH)
    text = (faces / "README.md").read_text()
    front = yaml.safe_load(text.split("---\n")[1])
    assert front["pretty_name"] == 'fa: "ces" ü'
    assert (front["license"], front["license_name"], front["license_link"]) == (
        "other", "non-commercial-research-only", "LICENSE.md",
    )  # fmt: skip
    assert front["size_categories"] == ["n<1K"]
    assert "synthetic" in front["tags"]
    assert front["configs"][0]["data_files"][0] == {"split": "train", "path": "shards/*.tar"}
    assert "![The first identities, a row each](contact_sheet.png)" in text
    assert "nonesuch verify" in text


def test_the_datasheet_has_the_headings_of_annex_iv_and_invents_nothing(cli: Cli, faces: Path) -> None:
    _release(cli, faces)
    text = (faces / "datasheet.md").read_text()
    headings = [line[3:] for line in text.splitlines() if line.startswith("## ")]
    assert headings[:7] == [
        "Training methodologies and techniques",
        "General description of the data set",
        "Provenance",
        "Scope and main characteristics",
        "How the data was obtained and selected",
        "Labelling procedures",
        "Data cleaning methodologies",
    ]
    assert "not legal advice" in text
    assert "- intended purpose: not recorded" in text
    assert "- creators: not recorded" in text
    assert "- seed: 5" in text


def _edit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_changed_byte_in_any_file_is_found(cli: Cli, faces: Path) -> None:
    _release(cli, faces)
    places = ["release.json", *json.loads((faces / "release.json").read_text())["files"]]
    assert len(places) > 10
    for place in places:
        before = (faces / place).read_bytes()
        _edit(faces / place)
        try:
            found = " ".join(nonesuch.verify_dataset(faces).problems)
        except nonesuch.NonesuchError as error:
            found = str(error)
        named = place if place.startswith("columns") or place in DOCUMENTS else Path(place).stem
        assert named in found, place
        (faces / place).write_bytes(before)
    assert nonesuch.verify_dataset(faces).problems == ()


def test_a_lost_file_and_a_lost_record_are_found(cli: Cli, faces: Path) -> None:
    _release(cli, faces)
    sheet = (faces / "datasheet.md").read_bytes()
    (faces / "datasheet.md").unlink()
    assert "datasheet.md: missing, though it was released" in cli("verify", faces).err
    (faces / "datasheet.md").write_bytes(sheet)
    (faces / "release.json").unlink()
    assert "release.json: missing, though its documents are there" in cli("verify", faces).err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            lambda it: it["distribution"][3].update(sha256="0" * 64),
            "of another one|says something else|not the manifest",
        ),
        (
            lambda it: it["prov:wasGeneratedBy"]["prov:used"][-1].update({"prov:value": 6}),
            "its seed is not the manifest",
        ),
        (lambda it: it["prov:wasGeneratedBy"]["prov:used"].pop(2), "does not name the generator"),
        (lambda it: it["license"].update(name="MIT"), "its licence is not that of release.json"),
        (lambda it: it["distribution"].pop(4), "its hash of shards/000000.tar is not the manifest's"),
        (lambda it: it.pop("distribution"), "not as a release writes it"),
    ],
)
def test_croissant_that_says_something_else_is_found_though_the_hashes_fit(
    cli: Cli, faces: Path, change: object, says: str
) -> None:
    """Somebody edits the metadata, and its hash in release.json, and the seal of that."""
    _release(cli, faces)
    metadata = json.loads((faces / "croissant.json").read_text())
    assert callable(change)
    change(metadata)
    written = json.dumps(metadata, indent=1) + "\n"
    (faces / "croissant.json").write_text(written)
    record = json.loads((faces / "release.json").read_text())
    record["files"]["croissant.json"] = {"size": len(written), "sha256": text_sha256(written)}
    del record["seal"]
    plain = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
    record["seal"] = text_sha256(plain)
    (faces / "release.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    problems = nonesuch.verify_dataset(faces).problems
    assert problems
    assert any(part in problem for problem in problems for part in says.split("|"))


def test_the_terms_of_what_went_in_are_carried_and_a_wish_that_drops_one_is_refused(cli: Cli, faces: Path) -> None:
    refused = cli("release", faces, "--licence", "MIT").error
    assert "--licence MIT" in refused
    assert RESEARCH in refused
    assert not (faces / "release.json").exists()
    _release(cli, faces, "--licence", RESEARCH)
    assert json.loads((faces / "release.json").read_text())["licence"] == RESEARCH
    ledger = (faces / "LICENSE.md").read_text()
    assert "So stated by whoever released it" in ledger
    assert "| MIT (as its npm package states) | permissive |" in ledger


def test_what_is_not_complete_is_refused(cli: Cli, faces: Path, tiny_generator: Path, tmp_path: Path) -> None:
    (faces / "shards" / "000001.tar").write_bytes(b"")
    assert "000001.tar: not the file of the manifest" in cli("release", faces).error
    plan = tmp_path / "plan"
    options = ["--identities", 2, "--images", 2, "--plan-only"]
    assert cli("generate", plan, "--generator", tiny_generator, *options).status == 0
    assert "plan: not complete; run the command that made it again" in cli("release", plan).error
    assert not any((folder / name).exists() for folder in (faces, plan) for name in DOCUMENTS)
    assert "no dataset here" in cli("release", tmp_path).error


def test_what_somebody_wrote_or_changed_is_not_replaced(cli: Cli, faces: Path) -> None:
    (faces / "README.md").write_text("mine")
    assert "README.md: not as a release wrote it; move it away" in cli("release", faces).error
    assert (faces / "README.md").read_text() == "mine"
    (faces / "README.md").unlink()
    _release(cli, faces)
    (faces / "datasheet.md").write_text("mine, too")
    assert "datasheet.md: changed since it was released" in cli("verify", faces).err
    assert "datasheet.md: not as a release wrote it" in cli("release", faces).error
    assert (faces / "datasheet.md").read_text() == "mine, too"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--name", " "], "--name ' '"),
        (["--name", "a\nb"], "not one line of text"),
        (["--creator", ""], "not a path; give it as text|--creator"),
        (["--url", "faces"], "--url faces: not an address"),
        (["--licence", ""], "--licence ''"),
    ],
)
def test_bad_options_end_in_one_line(cli: Cli, faces: Path, options: list[str], says: str) -> None:
    error = cli("release", faces, *options).error
    assert any(part in error for part in says.split("|"))
    assert not (faces / "release.json").exists()


_FULL_DISK = """
import resource, sys
from nonesuch.cli.app import main
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
main()
"""


def test_a_full_disk_leaves_the_documents_as_they_were(cli: Cli, faces: Path) -> None:
    """A limit on the size of files stands for the disk."""
    _release(cli, faces)
    before = _documents(faces)
    command = [sys.executable, "-c", _FULL_DISK, "release", str(faces), "--creator", "Ada"]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert "no space left to write it" in result.stderr
    assert "Traceback" not in result.stderr
    assert _documents(faces) == before
    assert not list(faces.rglob("*.tmp"))
    assert cli("verify", faces).status == 0
