"""Captions written in published forms, and captions of others read."""

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import webdataset

import nonesuch
from nonesuch import load_perceiver
from nonesuch.captions.captioned import GROUP
from nonesuch.captions.exchange import caption_parts
from nonesuch.captions.exchange.export_captions import export_captions
from nonesuch.captions.exchange.export_shards import RECORD
from nonesuch.captions.exchange.import_captions import import_captions
from nonesuch.core.errors import NonesuchError
from nonesuch.formats.columns import read_columns, write_columns
from nonesuch.perception.perceiver import COLUMNS
from tests.conftest import Cli

_SEEN = ("male", "young", "smiling", "mouth_slightly_open", "eyeglasses", "no_beard")
_FEW = 2  # the image of which too little is seen for a caption


def _columns(*sure: bool) -> pa.Table:
    """What perception heads say of images: a young man with glasses, turned, who smiles, or nothing that is sure."""
    values = dict.fromkeys(COLUMNS, 0.4) | {"yaw": 12.0, "age": 30.0, "quality": 50.0}
    columns = {name: pa.array([0.99 if name in _SEEN and one else values[name] for one in sure]) for name in COLUMNS}
    words = {"gender": pa.array(["male"] * len(sure)), "ethnicity": pa.array(["other"] * len(sure))}
    return pa.table({name: words.get(name, columns[name]) for name in COLUMNS})


@pytest.fixture
def dataset(cli: Cli, tmp_path: Path, tiny_generator: Path) -> Path:
    """Six images in three shards, all but one with a caption."""
    out = tmp_path / "faces"
    options = ["--identities", 6, "--images", 1, "--shard-images", 2, "--no-summary", "--generator", tiny_generator]
    assert cli("generate", out, *options).status == 0
    maker = load_perceiver(device="cpu").card.sha256
    for shard in range(3):
        write_columns(out, "perception", shard, maker, _columns(2 * shard != _FEW, True))
    assert nonesuch.caption_faces(out).counts.captioned == 5
    return out


def _table(path: Path, captions: list[str | None]) -> Path:
    """The table that `caption --out` writes, as far as an export looks at it."""
    files = pa.array([f"{number}.jpg" for number in range(len(captions))])
    pq.write_table(pa.table({"file": files, "caption": pa.array(captions, pa.string()), "more": files}), path)
    return path


def _lines(path: Path, *captions: str | None) -> Path:
    told = [{"file_name": f"{number}.jpg", "additional_feature": text} for number, text in enumerate(captions)]
    path.write_text("\n".join(json.dumps(line) for line in told), encoding="utf-8")
    return path


def _tars(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.tar"))}


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("form", ["facecaption", "faceid"])
def test_there_and_back(cli: Cli, dataset: Path, tmp_path: Path, form: str) -> None:
    there, back, again = tmp_path / "there", tmp_path / "back.parquet", tmp_path / "again"
    outcome = cli("export-captions", dataset, "--out", there, "--form", form)
    assert outcome.status == 0, outcome.err
    assert "5 of 6 images have a caption" in outcome.out
    outcome = cli("import-captions", there, "--out", back)
    assert outcome.status == 0, outcome.err
    assert "read wholly: 5, partly: 0, not at all: 0" in outcome.out
    ours, theirs = read_columns(dataset, GROUP).to_pylist(), pq.read_table(back).to_pylist()
    assert [row["file"] for row in theirs] == [row["key"] + ".jpg" for row in ours]
    assert [row["caption"] for row in theirs] == [row["caption"] for row in ours]
    for row, own in zip(theirs, ours, strict=True):
        assert row["facts"] == (own["facts"] if own["caption"] else [])
        stated = {row["caption"][clause["start"] : clause["end"]] for clause in row["clauses"]}
        assert all(sentence.endswith(".") for sentence in stated)
        assert (row["grammar"], row["rewritten_by"]) == (None, None)
    export_captions(back, again, form=form)
    if form == "faceid":
        assert [line | {"bbox": None} for line in _json(there)] == _json(again)
    else:
        assert pq.read_table(there).drop(["face_box"]).equals(pq.read_table(again).drop(["face_box"]))


def _json(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_published_columns(dataset: Path, tmp_path: Path) -> None:
    table, lines = tmp_path / "captions.parquet", tmp_path / "captions.jsonl"
    export_captions(dataset, table)
    export_captions(dataset, lines, form="faceid")
    rows = pq.read_table(table)
    assert rows.column_names == ["url", "face_box", "laion_caption", "face_caption"]
    assert rows.schema.field("face_box").type == pa.list_(pa.float32())
    first = rows.slice(0, 1).to_pylist()[0]
    key, text = (read_columns(dataset, GROUP)[name][0].as_py() for name in ("key", "caption"))
    assert first == {"url": f"{key}.jpg", "face_box": [0, 0, 112, 112], "laion_caption": None, "face_caption": text}
    assert rows["face_caption"][_FEW].as_py() is None
    assert _json(lines)[0] == {
        "file_name": f"{key}.jpg",
        "additional_feature": text,
        "bbox": [0, 0, 112, 112],
        "landmarks": None,
        "insightface_feature_file": None,
    }


@pytest.mark.parametrize("form", ["facecaption", "faceid"])
def test_other_spellings_and_a_table_of_photographs(cli: Cli, tmp_path: Path, form: str) -> None:
    source, out, back = _table(tmp_path / "ours", ["He smiles.", None, "Ä\u2028."]), tmp_path / "out", tmp_path / "back"
    file, caption = ("url", "face_caption") if form == "facecaption" else ("file_name", "additional_feature")
    names = ["--names", f"{file}=URL, {caption}=the words"]
    outcome = cli("export-captions", source, "--out", out, "--form", form, *names)
    assert outcome.status == 0, outcome.err
    assert "lacks" in cli("import-captions", out, "--out", back).error
    assert "; it has URL, " in cli("import-captions", out, "--out", back).error
    assert cli("import-captions", out, "--out", back, *names).status == 0
    mapping = import_captions(out, tmp_path / "mapped", names={file: "URL", caption: "the words"})
    assert (mapping.form, mapping.wholly, mapping.unread, mapping.not_read) == (form, 1, 1, ("Ä .",))
    rows = pq.read_table(back)
    assert rows.equals(pq.read_table(tmp_path / "mapped"))
    assert rows["caption"].to_pylist() == ["He smiles.", None, "Ä\u2028."]
    assert rows["file"].to_pylist() == ["0.jpg", "1.jpg", "2.jpg"]


def test_what_is_read_of_a_caption(tmp_path: Path) -> None:
    captions = (
        "  A young man with glasses.  He smiles!",
        "She smiles. Her eyes are like the sea. She has bangs",
        "Lorem ipsum.",
        "He smiles. She has bangs.",  # of two people
        "He smiles. " * 300,
        "?!",
        " ",
        "",
        None,
    )
    out = tmp_path / "out.parquet"
    found = import_captions(_lines(tmp_path / "lines", *captions), out)
    assert (found.images, found.captioned, found.wholly, found.partly, found.unread) == (9, 7, 1, 1, 5)
    assert found.not_read == ("Her eyes are like the sea.", "Lorem ipsum.", "He smiles.")
    rows = pq.read_table(out).to_pylist()
    assert [row["caption"] for row in rows] == [text or None for text in captions]
    assert [row["facts"] for row in rows[:2]] == [["eyeglasses", "male", "smiling", "young"], ["bangs", "smiling"]]
    assert all(row["facts"] == row["clauses"] == [] for row in rows[2:])
    words = {clause["fact"]: rows[1]["caption"][clause["start"] : clause["end"]] for clause in rows[1]["clauses"]}
    assert words == {"smiling": "She smiles.", "bangs": "She has bangs"}


def test_a_line_is_an_image_even_without_a_name(tmp_path: Path) -> None:
    lines = tmp_path / "lines"
    told = b'\xef\xbb\xbf{"file_name": null, "additional_feature": "He smiles."}\r\n'
    lines.write_bytes(told + b'{"more": {"a": [1e3]}, "file_name": "", "additional_feature": "She smiles."}\n\n \n')
    import_captions(lines, tmp_path / "out")
    assert [(row["file"], row["facts"]) for row in pq.read_table(tmp_path / "out").to_pylist()] == [
        (None, ["smiling"]),
        (None, ["smiling"]),
    ]


@pytest.mark.parametrize("form", ["facecaption", "faceid"])
def test_parts_are_small_and_make_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    texts = ["He smiles.", "She has bangs.", None, "They wear glasses.", "A man.", "Nothing of this.", "She smiles."]
    source = _table(tmp_path / "ours", texts)
    export_captions(source, tmp_path / "whole", form=form)
    import_captions(tmp_path / "whole", tmp_path / "whole.parquet")
    monkeypatch.setattr(caption_parts, "_ROWS", 2)
    told: list[tuple[str, int]] = []

    def hear(what: str, done: int, total: int, note: str = "") -> None:
        told.append((what, done))

    export_captions(source, tmp_path / "parts", form=form, on_progress=hear)
    import_captions(tmp_path / "parts", tmp_path / "parts.parquet", on_progress=hear)
    assert [done for _, done in told] == [2, 4, 6, 7] * 2
    assert pq.read_table(tmp_path / "parts.parquet").equals(pq.read_table(tmp_path / "whole.parquet"))
    assert pq.ParquetFile(tmp_path / "parts.parquet").num_row_groups == 4
    if form == "faceid":
        assert (tmp_path / "parts").read_bytes() == (tmp_path / "whole").read_bytes()


def test_tars_for_trainers(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    out, again = tmp_path / "tars", tmp_path / "again"
    outcome = cli("export-captions", dataset, "--out", out, "--form", "webdataset")
    assert outcome.status == 0, outcome.err
    assert "5 of 6 images have a caption" in outcome.out
    assert "3 tars, 3 of them written now" in outcome.out
    urls = [str(out / name) for name in _tars(out)]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False).decode("rgb8").to_tuple("jpg", "cls", "txt"))
    ours = [row for row in read_columns(dataset, GROUP).to_pylist() if row["caption"]]
    assert [text for _, _, text in samples] == [row["caption"] for row in ours]
    assert [label for _, label, _ in samples] == [int(row["key"].split("/")[0]) for row in ours]
    for (pixels, _, _), row in zip(samples, ours, strict=True):
        name = row["key"] + ".jpg"
        shard = next(path for path in (dataset / "shards").glob("*.tar") if name in _members(path))
        assert _members(out / shard.name)[name] == _members(shard)[name]
        assert np.asarray(pixels).shape == (112, 112, 3)
    with tarfile.open(urls[0]) as archive:
        assert {(one.mtime, one.uid, one.gid, one.uname, one.mode) for one in archive} == {(0, 0, 0, "", 0o644)}
        assert [name.rsplit(".")[-1] for name in archive.getnames()] == ["jpg", "cls", "txt"] * 2
    export_captions(dataset, again, form="webdataset")
    assert _tars(again) == _tars(out)


def _members(tar: Path) -> dict[str, bytes]:
    with tarfile.open(tar) as archive:
        return {one.name: file.read() for one in archive if (file := archive.extractfile(one)) is not None}


def test_tars_that_are_whole_stay_and_others_are_made_again(dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "tars"
    assert export_captions(dataset, out, form="webdataset").written == 3
    before, times = _tars(out), {path.name: path.stat().st_mtime_ns for path in out.glob("*.tar")}
    (out / "000001.tar").write_bytes(b"short")
    (out / ".000002.tar.1.tmp").write_bytes(b"of a process that was killed")
    found = export_captions(dataset, out, form="webdataset")
    assert (found.images, found.captioned, found.files, found.written) == (6, 5, 3, 1)
    assert _tars(out) == before
    assert {path.name for path in out.glob("*.tar") if path.stat().st_mtime_ns != times[path.name]} == {"000001.tar"}
    assert [name for name in _names(out) if name.endswith(".tmp")] == []
    nonesuch.caption_faces(dataset, grammar="german")
    assert export_captions(dataset, out, form="webdataset").written == 3
    captions = read_columns(dataset, GROUP)["caption"]
    for shard in range(3):
        own = [captions[2 * shard + row].as_py() if shard != 1 else None for row in range(2)]
        write_columns(dataset, GROUP, shard, "others", pa.table({"caption": pa.array(own, pa.string())}))
    found = export_captions(dataset, out, form="webdataset")
    assert (found.captioned, found.files, found.written) == (4, 2, 0)
    assert list(_tars(out)) == ["000000.tar", "000002.tar"]


def test_a_killed_export_goes_on(dataset: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "tars", tmp_path / "whole"
    slow = (
        "import sys, time; from nonesuch.captions.exchange import export_shards; record = export_shards._write_record\n"
    )
    slow += "export_shards._write_record = lambda out, known: (record(out, known), known and time.sleep(60))\n"
    slow += "from nonesuch.captions.exchange.export_captions import export_captions\n"
    slow += "export_captions(sys.argv[1], sys.argv[2], form='webdataset')"
    run = subprocess.Popen([sys.executable, "-c", slow, str(dataset), str(out)], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while time.monotonic() < until and not ((out / RECORD).exists() and "000000" in (out / RECORD).read_text()):
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGKILL)
    run.wait()
    assert list(_tars(out)) == ["000000.tar"]
    assert export_captions(dataset, out, form="webdataset").written == 2
    export_captions(dataset, whole, form="webdataset")
    assert _tars(out) == _tars(whole)


_FULL_DISK = """
import resource, sys
from nonesuch.captions.exchange.{name} import {name}
from nonesuch.core.errors import NonesuchError
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
try:
    {name}(sys.argv[1], sys.argv[2], form=sys.argv[3])
except NonesuchError as error:
    sys.exit(f"error: {{error}}")
"""


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("export_captions", "facecaption"),
        ("export_captions", "webdataset"),
        ("import_captions", "faceid"),
    ],
)
def test_a_full_disk_leaves_nothing_half_written(dataset: Path, tmp_path: Path, name: str, form: str) -> None:
    out = tmp_path / "place" / "out"
    out.parent.mkdir()
    texts = [os.urandom(32).hex() for _ in range(200)]
    ours = dataset if form == "webdataset" else _table(tmp_path / "ours", [*texts])
    source = ours if name == "export_captions" else _lines(tmp_path / "lines", *texts)
    code = _FULL_DISK.format(name=name)
    run = subprocess.run([sys.executable, "-c", code, str(source), str(out), form], capture_output=True, text=True)
    assert run.returncode == 1
    assert run.stderr.startswith("error: ")
    assert "no space left" in run.stderr
    assert "Traceback" not in run.stderr
    if form == "webdataset":
        assert _names(out) in ([RECORD], [".lock", RECORD])
        assert export_captions(source, out, form=form).written == 3
    else:
        assert _names(out.parent) == []


_LINE = b'{"file_name": "a.jpg", "additional_feature": "He smiles."}\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither Parquet nor JSON lines"),
        (b"file,caption\na,b\n", "neither Parquet nor JSON lines"),
        ('{"file_name"'.encode("utf-16"), "neither Parquet nor JSON lines"),
        (b"PAR1 and no more", "not readable as Parquet"),
        (_LINE + b'{"file_name": "\xe4.jpg", "additional_feature": ""}', "line 2: not UTF-8"),
        (_LINE + _LINE[:20], "line 2: not JSON"),
        (_LINE + b"[1, 2]\n", "line 2: no JSON object"),
        (_LINE + b"\n" + _LINE, "line 2: empty"),
        (_LINE + b'{"file_name": "a", "caption": "b"}', "line 2: lacks additional_feature; it has file_name, caption"),
        (_LINE + b'{"file_name": "a", "additional_feature": ["b"]}', "line 2: additional_feature must be text, not"),
        (_LINE + b'{"file_name": 3, "additional_feature": "b"}', "line 2: file_name must be text, not 3"),
        (_LINE + b'{"file_name": "\\ud800", "additional_feature": "b"}', "line 2: not JSON"),
        (_LINE + b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "line 2: not JSON"),
        (_LINE + b'{"file_name": "' + b"a" * (1 << 20) + b'"}', "line 2: longer than 1,048,576 bytes"),
        (b'{"file_name": "a", "additional_feature": ""}', "none of its 1 rows has a caption"),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_files_that_hold_no_captions(cli: Cli, tmp_path: Path, content: bytes, message: str) -> None:
    given = tmp_path / "given"
    given.write_bytes(content)
    assert message in cli("import-captions", given, "--out", tmp_path / "out").error
    assert _names(tmp_path) == ["given"]


def test_tables_that_hold_no_captions(tmp_path: Path) -> None:
    given, out = tmp_path / "given", tmp_path / "out"
    urls, texts = pa.array(["a", "b"]), pa.array(["He smiles."] * 2)
    no_text = pa.StringArray.from_buffers(1, pa.py_buffer(np.int32([0, 2]).tobytes()), pa.py_buffer(b"\xff\xfe"))
    for table, message in (
        (pa.table({"url": urls, "caption": texts}), "lacks the column face_caption; it has url, caption"),
        (pa.table([urls, urls, texts], names=["url", "url", "face_caption"]), "has 2 columns url; keep one"),
        (pa.table({"url": urls, "face_caption": pa.array([["a"], ["b"]])}), "rows 1 to 2: face_caption must be text"),
        (pa.table({"url": urls[:1], "face_caption": no_text}), "face_caption must be text in UTF-8"),
        (pa.table({"url": urls[:0], "face_caption": texts[:0]}), "none of its 0 rows has a caption"),
    ):
        pq.write_table(table, given)
        with pytest.raises(NonesuchError, match=message):
            import_captions(given, out)
    pq.write_table(pa.table({"url": urls, "face_caption": texts}), given)
    given.write_bytes(given.read_bytes()[:4] + bytes(60) + given.read_bytes()[64:])
    with pytest.raises(NonesuchError, match="damaged"):
        import_captions(given, out)
    assert _names(tmp_path) == ["given"]


def test_wrong_options(cli: Cli, dataset: Path, tmp_path: Path) -> None:
    out, lines = tmp_path / "out", _lines(tmp_path / "lines", "He smiles.")
    export = ["export-captions", dataset, "--out", out]
    assert "no column of the form facecaption; there are url, " in cli(*export, "--names", "file=a").error
    assert "write --names url=URL" in cli(*export, "--names", "url").error
    assert "two columns would be called face_box" in cli(*export, "--names", "url=face_box").error
    assert "has no columns" in cli(*export, "--names", "url=a", "--form", "webdataset").error
    with pytest.raises(NonesuchError, match="--names 3"):
        export_captions(dataset, out, names=3)  # type: ignore[arg-type]
    assert "no such file" in cli("export-captions", tmp_path / "nothing", "--out", out).error
    assert "no such file" in cli("import-captions", tmp_path / "nothing", "--out", out, "--form", "faceid").error
    assert "neither a dataset of nonesuch nor the table" in cli("export-captions", tmp_path, "--out", out).error
    assert "not readable as Parquet" in cli("export-captions", lines, "--out", out).error
    ours = _table(tmp_path / "ours", ["He smiles.", None])
    assert "needs a dataset of nonesuch" in cli("export-captions", ours, "--out", out, "--form", "webdataset").error
    assert "would write over what is read" in cli("export-captions", ours, "--out", ours).error
    assert "would write over what is read" in cli("import-captions", lines, "--out", lines).error
    assert "none of its 1 images has a caption" in cli("export-captions", _table(ours, [None]), "--out", out).error
    assert "holds faces, which is no export" in cli(*export[:3], lines.parent, "--form", "webdataset").error
    assert not out.exists()


@pytest.mark.parametrize("form", ["facecaption", "webdataset"])
def test_datasets_without_sound_captions(dataset: Path, tmp_path: Path, form: str) -> None:
    out, last = tmp_path / "out", dataset / "columns" / GROUP / "000002.parquet"
    whole = last.read_bytes()
    for content, message in ((whole[:100], "captions are damaged"), (None, "shard 000002 has no captions; run")):
        last.unlink()
        if content is not None:
            last.write_bytes(content)
        with pytest.raises(NonesuchError, match=message):
            export_captions(dataset, out, form=form)
    write_columns(dataset, GROUP, 2, "others", pa.table({"caption": pa.array(["a", "b"])}))
    with pytest.raises(NonesuchError, match="made in different ways"):
        export_captions(dataset, out, form=form)
    assert not out.exists()
    last.write_bytes(whole)
    (tar,) = (dataset / "shards").glob("000002.tar")
    tar.write_bytes(tar.read_bytes().replace(b"JFIF", b"FIFJ"))
    if form == "webdataset":
        with pytest.raises(NonesuchError, match="is not what its index says"):
            export_captions(dataset, out, form=form)
        assert list(_tars(out)) == ["000000.tar", "000001.tar"]
