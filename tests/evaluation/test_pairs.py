"""Lists of comparisons, and packed sets that must not run code."""

import io
import lzma
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nonesuch.core.errors import NonesuchError
from nonesuch.evaluation.pairs import read_packed, read_pairs
from nonesuch.formats.photographs import Photograph

HERE = Path("here.tar")


def _photographs(*names: str) -> list[Photograph]:
    return [Photograph(name, name.split("/")[-2], HERE) for name in names]


LFW = _photographs(*(f"lfw/{name}/{name}_{image:04d}.jpg" for name in ("Ann", "Bob") for image in (1, 2)))


def test_lfw_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text("2\t1\nAnn\t1\t2\nAnn\t1\tBob\t2\nBob\t1\t2\nBob\t2\tAnn\t2\n")
    found = read_pairs(path, LFW)
    assert found.left.tolist() == [0, 0, 2, 3]
    assert found.right.tolist() == [1, 3, 3, 1]
    assert found.mated.tolist() == [True, False, True, False]
    assert found.folds.tolist() == [1, 1, 2, 2]
    rows, used = found.of_folds({1, 2}).used()
    assert rows.tolist() == [0, 1, 2, 3]
    assert used.left.tolist() == [0, 0, 2, 3]
    with pytest.raises(NonesuchError, match="name at least two of 1-2"):
        found.of_folds({2, 3})


def test_csv_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("left,right,mated,fold\nAnn/Ann_0001.jpg,Ann_0002,yes,1\nlfw/Bob/Bob_0001,Ann_0001.jpg,0,2\n")
    found = read_pairs(path, LFW)
    assert found.left.tolist() == [0, 2]
    assert found.right.tolist() == [1, 0]
    assert found.mated.tolist() == [True, False]


def test_csv_pairs_without_folds_have_both_kinds_in_each(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    lines = ["Ann_0001,Ann_0002,1"] * 20 + ["Ann_0001,Bob_0002,0"] * 30
    path.write_text("\n".join(["left,right,mated", *lines]))
    found = read_pairs(path, LFW)
    for fold in range(1, 11):
        assert found.mated[found.folds == fold].tolist() == [True] * 2 + [False] * 3
    path.write_text("left,mated,right\nAnn_0001,1\n")
    with pytest.raises(NonesuchError, match="line 2: it needs left, right and mated"):
        read_pairs(path, LFW)


def test_cfp_pairs(tmp_path: Path) -> None:
    for letter, view in (("F", "frontal"), ("P", "profile")):
        lines = [f"{n + 1} ../Data/Images/{n + 1:03d}/{view}/01.jpg" for n in range(2)]
        (tmp_path / f"Pair_list_{letter}.txt").write_text("\n".join(lines))
    for fold in ("01", "02"):
        (tmp_path / "Split" / "FP" / fold).mkdir(parents=True)
        (tmp_path / "Split" / "FP" / fold / "same.txt").write_text("1,1\n2,2\n")
        (tmp_path / "Split" / "FP" / fold / "diff.txt").write_text("1,2\n")
    images = _photographs(*(f"Data/Images/{n:03d}/{view}/01.jpg" for n in (1, 2) for view in ("frontal", "profile")))
    found = read_pairs(tmp_path, images)
    assert found.left.tolist() == [0, 2, 0] * 2
    assert found.right.tolist() == [1, 3, 3] * 2
    assert found.folds.tolist() == [1] * 3 + [2] * 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hello", "first line"),
        ("1 1\nAnn 1 2\n", "1 pairs, its first line says 2"),
        ("1 1\nAnn 1 2\nAnn 1 Bob\n", "line 3 is not a pair"),
        ("1 1\nAnn 1 2\nAnn 1 Eve 1\n", "Eve/Eve_0001 is not among the images"),
    ],
)
def test_wrong_lists(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "pairs.txt"
    path.write_text(text)
    with pytest.raises(NonesuchError, match=message):
        read_pairs(path, LFW)


def test_a_name_that_several_images_have(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text("left,right,mated\n01.jpg,b/01.jpg,1\n")
    with pytest.raises(NonesuchError, match=r"several images end in 01\.jpg"):
        read_pairs(path, _photographs("a/01.jpg", "b/01.jpg"))


def _encoded(level: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (112, 112), (level, level, level)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize("kind", [list, np.array])
def test_packed_sets(tmp_path: Path, protocol: int, kind: type) -> None:
    content = ([_encoded(level) for level in (10, 20, 30, 40)], kind([True, False]))
    path = tmp_path / "set.bin"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    images, found = read_packed(path)
    assert [image.read()[0, 0, 0] for image in images] == [10, 20, 30, 40]
    assert found.mated.tolist() == [True, False]
    packed = tmp_path / "set.xz"
    packed.write_bytes(lzma.compress(path.read_bytes()))
    assert [image.data for image in read_packed(packed)[0]] == [image.data for image in images]


def test_images_as_arrays_of_bytes(tmp_path: Path) -> None:
    content = [[np.frombuffer(_encoded(level), np.uint8) for level in (1, 2)], [True]]
    path = tmp_path / "set.bin"
    path.write_bytes(pickle.dumps(content))
    assert [image.read()[0, 0, 0] for image in read_packed(path)[0]] == [1, 2]


class _Evil:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, (f"open({str(self.file)!r}, 'w')",))


def test_a_malicious_set_is_refused_before_it_runs(tmp_path: Path) -> None:
    path, trace = tmp_path / "evil.bin", tmp_path / "trace"
    path.write_bytes(pickle.dumps([[_Evil(trace)], [True]]))
    with pytest.raises(NonesuchError, match=r"a pickle can run code: it names builtins\.exec"):
        read_packed(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"cnumpy\nload\n.", "it names numpy.load"),
        (b"cos\nsystem\n(S'true'\ntR.", "it names os.system"),
        (b"cnumpy.core.multiarray\n_reconstruct\n(cos\nsystem\n(I0\ntS'b'\ntR.", "it names os.system"),
        (b"\x80\x05\x8c\x0cnumpy.dtypes\x8c\x08ObjectDT\x93.", "it names numpy.dtypes.ObjectDT"),
        (
            b"(cnumpy\nndarray\n((I2\ntS'O'\nS'AAAAAAAAAAAAAAAA'\ntRlp0\nI01\nal.",
            "it makes an array by itself",
        ),
        (
            b"(cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I2\ntS'O'\ntR(I1\n(I2\ntcnumpy\ndtype\n(S'O'\ntRI00\n"
            b"S'AAAAAAAAAAAAAAAA'\ntb(lp0\nI01\natt.",
            "an array of O",
        ),
        (
            b"(cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I99\ntcnumpy\ndtype\n(S'u1'\ntRI00\n"
            b"S'AAAA'\ntb(lp0\nI01\natt.",
            "an array whose bytes do not fill its shape",
        ),
        (b"cnumpy\ndtype\n(S'u1'\ntR(I3\nS'|'\nNS'x'\nNI9\nI9\nI0\ntb.", "an array of records"),
        (b"cnumpy\ndtype\n(I3\nS'|'\nNNNI9\nI9\nI0\ntb.", "it changes what it names"),
        (b"c_codecs\nencode\n(VX\nVutf-8\ntR.", "text in an encoding that is not in use"),
        (b"c_codecs\nencode\n}S'x'\nI1\nsb.", "it holds more than lists, numbers and bytes"),
        (b"I1\nr\xff\xff\xff\x7f.", "it asks for a memo longer than itself"),
        (b"(I1\nI2\nt.", "not a list of images and a list of labels"),
        (b"", "not a readable pickled set"),
        (b"\x80", "not a readable pickled set"),
        (b"(lp0\nI1\na.", "not a list of images and a list of labels"),
    ],
)
def test_damaged_and_odd_pickles(tmp_path: Path, body: bytes, reason: str) -> None:
    """Each is refused by the check that is there for it, before numpy sees it."""
    path = tmp_path / "odd.bin"
    path.write_bytes(body)
    with pytest.raises(NonesuchError, match=re.escape(reason)):
        read_packed(path)


def _nested(into: bytes) -> bytes:
    """A pickle of pairs in pairs, 60 levels, as the key of a dictionary or in a set: hashing it would take years."""
    pairs = b"".join(b"h%ch%c\x86q%c" % (level, level, level + 1) for level in range(60))
    return b"\x80\x04K\x01q\x00" + pairs + into + b"."


@pytest.mark.parametrize(
    "into", [b"}h<K\x01s", b"\x8f(h<\x90", b"(h<\x91", b"(h<K\x01d"], ids=["s", "set", "frozen", "d"]
)
def test_pairs_in_pairs_are_never_hashed(tmp_path: Path, into: bytes) -> None:
    path = tmp_path / "set.bin"
    path.write_bytes(_nested(into))
    with pytest.raises(NonesuchError, match="more than lists, numbers and bytes"):
        read_packed(path)


def test_one_text_encoded_many_times(tmp_path: Path) -> None:
    text = b"X" + (10_000).to_bytes(4, "little") + b"a" * 10_000 + b"q\x00"
    again = b"c_codecs\nencode\n(h\x00X\x06\x00\x00\x00latin1tR"
    path = tmp_path / "set.bin"
    path.write_bytes(b"\x80\x02" + text + again * 2000 + b".")  # 20 MB out of 100 kB; it could be terabytes
    with pytest.raises(NonesuchError, match="unpacks to more than itself"):
        read_packed(path)


def test_truncated_xz(tmp_path: Path) -> None:
    path = tmp_path / "set.xz"
    path.write_bytes(lzma.compress(pickle.dumps([[_encoded(1), _encoded(2)], [True]]))[:-40])
    with pytest.raises(NonesuchError, match=r"set\.xz"):
        read_packed(path)
