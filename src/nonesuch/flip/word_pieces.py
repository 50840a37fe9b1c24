"""Texts as tokens: WordPiece, with a vocabulary of its own or a given one, by the `tokenizers` library."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from nonesuch.core.errors import NonesuchError

PAD, UNKNOWN, BEGIN, END, JOINT = SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[ENC]")
# What FLIP's authors replace by blanks.
_BLANKS = str.maketrans(dict.fromkeys('.!"()*#:;~', " "))


def _library() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise NonesuchError('FLIP reads texts by the tokenizers library: pip install "nonesuch[flip]"') from error
    return tokenizers


class WordPieces:
    """A vocabulary, and how texts are cut by it.

    Args:
        vocabulary: all tokens, [PAD] first; [ENC] is put at the end where it is missing, as BERT's lists lack it.
        longest: tokens of a text, those at its ends included; what is longer is cut.

    Raises:
        NonesuchError: a special token is missing, a token comes twice, or the library is.
    """

    def __init__(self, vocabulary: Sequence[str], longest: int) -> None:
        library = _library()
        tokens = [*vocabulary, *([] if JOINT in vocabulary else [JOINT])]
        self.number = {token: number for number, token in enumerate(tokens)}
        if len(self.number) < len(tokens):
            raise NonesuchError("a vocabulary names each token once; this one repeats some")
        missing = [token for token in SPECIAL if token not in self.number]
        if missing or tokens[0] != PAD:
            raise NonesuchError(f"a vocabulary begins with {PAD} and holds {', '.join(SPECIAL[1:4])}")
        self.longest = longest
        self._cutter = library.Tokenizer(library.models.WordPiece(self.number, unk_token=UNKNOWN))
        self._cutter.normalizer = library.normalizers.BertNormalizer(lowercase=True)
        self._cutter.pre_tokenizer = library.pre_tokenizers.BertPreTokenizer()

    def __len__(self) -> int:
        return len(self.number)

    def encode(self, texts: Sequence[str], begin: str = BEGIN) -> Tensor:
        """(B, L) int64 tokens, L as the longest of them needs; each begins with `begin` and ends with [SEP]."""
        first, last = self.number[begin], self.number[END]
        rows = []
        for cut in self._cutter.encode_batch([plain(text) for text in texts]):
            rows.append([first, *cut.ids[: self.longest - 2], last])
        tokens = torch.zeros(len(rows), max(map(len, rows), default=0), dtype=torch.int64)
        for place, row in enumerate(rows):
            tokens[place, : len(row)] = torch.tensor(row)
        return tokens

    def words(self, text: str) -> list[str]:
        """The words and marks of a text, in lower case."""
        normal = self._cutter.normalizer.normalize_str(plain(text))
        return [word for word, _ in self._cutter.pre_tokenizer.pre_tokenize_str(normal)]

    def strange_words(self, text: str) -> list[str]:
        """Words of a text that the vocabulary does not hold, or only in pieces of a letter or two."""
        return [word for word in self.words(text) if _is_strange(word, self._cutter.encode(word).tokens)]

    def is_cut(self, text: str) -> bool:
        """Whether a text is longer than what is read of it."""
        return len(self._cutter.encode(plain(text)).ids) > self.longest - 2


def _is_strange(word: str, pieces: list[str]) -> bool:
    return UNKNOWN in pieces or (len(pieces) > 1 and all(len(piece.removeprefix("##")) <= 2 for piece in pieces))


def plain(text: str) -> str:
    """A text as FLIP's authors prepare it: without `. ! " ( ) * # : ; ~`."""
    return text.translate(_BLANKS)


def learned(texts: Iterable[str], most: int) -> list[str]:
    """A vocabulary of at most `most` tokens: the special ones, all characters, and the most frequent words.

    The library's own training breaks ties differently each time; this gives the same texts the same tokens.
    """
    library = _library()
    normal, cutter = library.normalizers.BertNormalizer(lowercase=True), library.pre_tokenizers.BertPreTokenizer()
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(word for word, _ in cutter.pre_tokenize_str(normal.normalize_str(plain(text))))
    letters = sorted({letter for word in counts for letter in word})
    pieces = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    words = sorted((word for word in counts if len(word) > 1), key=lambda word: (-counts[word], word))
    return [*pieces, *words[: max(most - len(pieces), 0)]]
