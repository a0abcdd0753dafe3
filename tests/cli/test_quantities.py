"""Numbers for people."""

import pytest
from chunkmeans.cli.quantities import binary, decimal, duration, short


@pytest.mark.parametrize("value", [0, 1, 9.994, 999.4, 999.6, 9_995, 999_499, 999_500, 123e9, 5e17])
def test_a_decimal_number_is_right_to_three_digits(value):
    number, unit = decimal(value, "px").split()
    power = {"px": 1, "kpx": 1e3, "Mpx": 1e6, "Gpx": 1e9, "Tpx": 1e12, "Ppx": 1e15}[unit]
    assert float(number) * power == pytest.approx(value, rel=0.006, abs=0.5)
    assert len(number) <= 4


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (2**20 - 1, "1.0 MiB"),
        (2**50, "1024.0 TiB"),
    ],
)
def test_memory_is_told_in_powers_of_1024(nbytes, text):
    assert binary(nbytes) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 00 s"),
        (3599.7, "1 h 00 min"),
        (86_399, "1 d 00 h"),
    ],
)
def test_a_duration_carries_where_it_rounds(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize("width", range(3, 12))
def test_a_shortened_name_keeps_both_ends(width):
    text = short("abcdefghij", width)
    assert len(text) == min(width, 10)
    assert text[0] == "a"
    assert text[-1] == "j"
