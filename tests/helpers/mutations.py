"""Mutations of a file: a seed gives the same bytes on every machine."""

from random import Random

__all__ = ["mutate"]

# Values that parsers of numbers, sizes and names meet rarely.
TOKENS = (
    *(b"-1", b"0", b"1e400", b"nan", b"inf", b"-inf", b"1e-400", b"9" * 30, b"9" * 5000, b"0x10"),
    *(b"", b" ", b"\r", b"\n", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc2\xb2", b"\xe9"),
    *(b"null", b"true", b"[]", b"{}", b'""', b"[" * 2000, b"../../a", b"/etc/a", b"..", b"="),
    *(b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00"),
)


def mutate(content: bytes, seed: int) -> bytes:
    """Return `content` with one to four random changes."""
    draw = Random(seed)
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        draw.choice((_flip, _overwrite, _cut, _truncate, _repeat, _insert, _replace_number))(
            data, draw
        )
    return bytes(data)


def _span(data: bytearray, draw: Random, longest: int = 64) -> slice:
    begin = draw.randrange(len(data) + 1)
    return slice(begin, begin + draw.randrange(1, longest))


def _flip(data: bytearray, draw: Random) -> None:
    if data:
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _overwrite(data: bytearray, draw: Random) -> None:
    span = _span(data, draw)
    data[span] = draw.randbytes(len(data[span]))


def _cut(data: bytearray, draw: Random) -> None:
    del data[_span(data, draw, 512)]


def _truncate(data: bytearray, draw: Random) -> None:
    del data[draw.randrange(len(data) + 1) :]


def _repeat(data: bytearray, draw: Random) -> None:
    span = _span(data, draw, 256)
    data[span.start : span.start] = data[span] * draw.choice((1, 2, 50))


def _insert(data: bytearray, draw: Random) -> None:
    position = draw.randrange(len(data) + 1)
    data[position:position] = draw.choice(TOKENS)


def _replace_number(data: bytearray, draw: Random) -> None:
    """Replace a run of digits, or of other characters of numbers, by a token."""
    digits = [index for index, byte in enumerate(data) if byte in b"0123456789.-"]
    if not digits:
        return
    begin = end = draw.choice(digits)
    while end < len(data) and data[end] in b"0123456789.-":
        end += 1
    data[begin:end] = draw.choice(TOKENS)


CHANGES = (_flip, _overwrite, _cut, _truncate, _repeat, _insert, _replace_number)
