"""Text that was decoded with the wrong table: how to tell, and how to put it right."""

import contextlib
from pathlib import Path

from feature_repo.errors import BadInputError


def _windows_1252() -> dict[int, str]:
    """Byte to character; the five bytes that the standard leaves open are the control characters of that number."""
    return {byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(256)}


_CHARACTERS = _windows_1252()
# Both readings of a byte lead back to it: U+0092 (read as Latin-1) and U+2019 (read as Windows-1252) are byte 0x92.
_BYTES = {chr(byte): byte for byte in range(256)} | {char: byte for byte, char in _CHARACTERS.items()}
_CONTROLS = {byte: _CHARACTERS[byte] for byte in range(0x80, 0xA0)}


def decode_strict(path: Path, encoding: str = "utf-8") -> str:
    """The file's text, a byte-order mark left out.

    Raises:
        BadInputError: a byte that the encoding does not have, named by line, offset and value; or no such encoding.
    """
    data = path.read_bytes()
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise BadInputError(
            f"{path}: line {line}: byte 0x{data[error.start]:02x} at offset {error.start} is not {encoding}"
            f" ({error.reason}); if the file has another encoding, name it: --option encoding=cp1252"
        ) from error
    except LookupError as error:
        raise BadInputError(f"{path}: unknown encoding {encoding!r}; try utf-8, cp1252 or utf-16") from error


def decode_lenient(path: Path) -> str:
    """The file's text in UTF-8, or in Windows-1252 where it isn't UTF-8; a byte-order mark left out."""
    data = path.read_bytes()
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        return "".join(_CHARACTERS[byte] for byte in data)


def decode_legacy(path: Path, legacy: str) -> tuple[str, str]:
    """The file's text and the encoding that fits: UTF-16 by its mark or its zero bytes, UTF-8, else the legacy one.

    Args:
        path: the file.
        legacy: what such files were written in before UTF-8, such as ``gb18030`` (which reads GBK and GB2312 too).

    Raises:
        BadInputError: none fits.
    """
    data = path.read_bytes()
    guesses = ["utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8", legacy]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        guesses = ["utf-16"]
    elif (
        b"\0" in data[:200]
    ):  # no table holds a zero character: half of each ASCII character is missing its mark
        guesses = ["utf-16-le" if data[1:2] == b"\0" else "utf-16-be"]
    for encoding in guesses:
        if encoding == "cp1252":
            return "".join(_CHARACTERS[byte] for byte in data), encoding
        with contextlib.suppress(UnicodeDecodeError):
            return data.decode(encoding), encoding.removesuffix("-sig")
    raise BadInputError(f"{path}: neither {' nor '.join(guesses)}; save it as UTF-8")


def repair_mojibake(text: str) -> str:
    """The text as it was meant, where UTF-8 was read as Latin-1 or Windows-1252; any other text unchanged.

    Two damages are undone: characters that are really the bytes of UTF-8 (``itâ€™s``), only if the text as a whole
    reads as such bytes, and control characters U+0080 to U+009F that are Windows-1252's punctuation.
    Replacement characters (U+FFFD) are lost for good and stay; the text between them is repaired piece by piece.
    """
    if text.isascii():
        return text
    return "\ufffd".join(_repair_piece(piece) for piece in text.split("\ufffd"))


def _repair_piece(text: str) -> str:
    if text.isascii():
        return text
    # Where it does not read as the bytes of UTF-8, the text is what it looks like.
    with contextlib.suppress(KeyError, UnicodeDecodeError):
        text = bytes(_BYTES[char] for char in text).decode("utf-8")
    return text.translate(_CONTROLS)
