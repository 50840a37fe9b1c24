"""The ledger names what went in, and refuses what cannot go together, with both terms."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nonesuch.core.errors import NonesuchError
from nonesuch.core.files import sha256
from nonesuch.dataset.release.ledger import ledger, licence_of, unchecked
from nonesuch.models import ASSETS


def _generated(name: str = "toy", licence: str = "CC-BY-SA-4.0", **options: Any) -> dict[str, Any]:
    embedder = sha256(ASSETS / "mobilefacenet.safetensors")
    made_by = {
        "name": name, "sha256": "1" * 64, "embedder": "mobilefacenet", "embedder_sha256": embedder, "licence": licence,
    }  # fmt: skip
    return {"generator": made_by, "options": options, "licence": licence}


def test_terms_come_from_the_manifest_and_from_cards(tmp_path: Path) -> None:
    statistics = sha256(ASSETS / "idiff_small.statistics.safetensors")
    perceiver = sha256(ASSETS / "perceiver.safetensors")
    steering = {"perceiver_sha256": perceiver}
    manifest = _generated(statistics_sha256=statistics, steering=steering, reference_sha256="9" * 64)
    found = {entry.what: entry for entry in ledger(tmp_path, manifest)}
    assert (found["generator"].name, found["generator"].licence) == ("toy", "CC-BY-SA-4.0")
    assert found["embedder of the vectors"].licence == "MIT (as its npm package states)"
    assert found["identity statistics"].licence.startswith("non-commercial research only")
    assert found["perceiver"].name == "perceiver"
    assert [entry.what for entry in unchecked(list(found.values()))] == ["reference photographs"]


def test_columns_bring_the_terms_of_what_made_them(tmp_path: Path) -> None:
    written = [
        ("perception", f"2 {sha256(ASSETS / 'perceiver.safetensors')}", pa.table({"age": [1]})),
        ("captions", "f" * 64, pa.table({"rewritten_by": ["some-llm", None]})),
        ("text_image", "e" * 64, pa.table({"vector": [1]})),
        ("audit", "d" * 64, pa.table({"own": [1]})),
    ]
    for group, made_by, table in written:
        path = tmp_path / "columns" / group / "000000.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(table.replace_schema_metadata({"made_by": made_by}), path)
    found = [(entry.what, entry.name, entry.family) for entry in ledger(tmp_path, _generated(licence="MIT"))[2:]]
    assert found == [
        ("rewriter of captions", "some-llm", "unknown"),
        ("captions", "grammar", "unknown"),
        ("columns perception", "perceiver", "non-commercial research only"),
        ("columns text_image", "not recorded", "unknown"),
    ]
    path = tmp_path / "columns" / "perception" / "000000.parquet"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(NonesuchError, match=r"000000\.parquet: damaged"):
        ledger(tmp_path, _generated())


def test_columns_can_be_left_out_where_their_terms_are_narrower(tmp_path: Path) -> None:
    path = tmp_path / "columns" / "perception" / "000000.parquet"
    path.parent.mkdir(parents=True)
    made_by = sha256(ASSETS / "perceiver.safetensors")
    pq.write_table(pa.table({"age": [1]}).replace_schema_metadata({"made_by": made_by}), path)
    entries = ledger(tmp_path, _generated(licence="MIT"))
    with pytest.raises(NonesuchError, match=r"columns perception perceiver under .*or move the columns out"):
        licence_of("faces", entries, "MIT", "MIT")
    assert licence_of("faces", entries[:2], "MIT", "MIT") == "MIT"


def _merged(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"generator": None, "options": {"made_by": "merge"}, "licence": "", "made_from": list(parts)}


def _part(name: str, licence: str, generator: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "name": name, "licence": licence, "generator": generator, "options": {}, "manifest_sha256": "2" * 64,
        "shows_real_people": None,
    }  # fmt: skip


def test_a_mix_of_sources_that_contradict_each_other_is_refused_with_both_terms(tmp_path: Path) -> None:
    toy = _generated(licence="CC-BY-NC-4.0")["generator"]
    entries = ledger(tmp_path, _merged(_part("a", "CC-BY-SA-4.0", None), _part("b", "CC-BY-NC-4.0", toy)))
    assert [(entry.what, entry.name) for entry in entries] == [
        ("source", "a"), ("generator of b", "toy"), ("embedder of the vectors of b", "mobilefacenet"),
    ]  # fmt: skip
    said = r"source a is under CC-BY-SA-4.0, generator of b toy under CC-BY-NC-4.0: .*'non-commercial'; make it without"
    with pytest.raises(NonesuchError, match=said):
        licence_of("faces", entries, "", None)


def test_a_source_without_a_licence_is_not_recorded(tmp_path: Path) -> None:
    entries = ledger(tmp_path, _merged(_part("a", "", None)))
    assert licence_of("faces", entries, "", None) == "not recorded"
    assert [entry.name for entry in unchecked(entries)] == ["a"]


def test_what_lets_nobody_share_derived_works_is_refused(tmp_path: Path) -> None:
    entries = ledger(tmp_path, _merged(_part("a", "CC-BY-ND-4.0", None)))
    with pytest.raises(NonesuchError, match=r"source a is under CC-BY-ND-4.0, .*\(CC-BY-4.0\) is; make it without"):
        licence_of("faces", entries, "", "CC-BY-4.0")


def test_a_wish_is_refused_with_the_term_that_it_drops(tmp_path: Path) -> None:
    entries = ledger(tmp_path, _generated(licence="CC-BY-NC-4.0"))
    with pytest.raises(NonesuchError, match=r"--licence MIT: generator toy under CC-BY-NC-4.0: your licence drops"):
        licence_of("faces", entries, "CC-BY-NC-4.0", "MIT")
    assert licence_of("faces", entries, "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0") == "CC-BY-NC-SA-4.0"
    assert licence_of("faces", entries, "CC-BY-NC-4.0", None) == "CC-BY-NC-4.0"


def test_unknown_terms_are_carried_as_they_are(tmp_path: Path) -> None:
    entries = ledger(tmp_path, _generated(licence="ask Ada"))
    assert licence_of("faces", entries, "ask Ada", None) == "ask Ada"
    assert [entry.licence for entry in unchecked(entries)] == ["ask Ada"]
