"""Numbers as people read them."""

_POWERS = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def decimal(value: float, unit: str) -> str:
    """Return `value` with three digits and a power of 1000.

    >>> decimal(1_991_000, "px"), decimal(12, "px"), decimal(999_950, "B")
    ('1.99 Mpx', '12 px', '1.00 MB')
    """
    for power, prefix in _POWERS:
        if value >= power * 0.9995:
            scaled = value / power
            digits = 2 if scaled < 9.995 else 1 if scaled < 99.95 else 0
            return f"{scaled:.{digits}f} {prefix}{unit}"
    return f"{value:.0f} {unit}"


def binary(nbytes: float) -> str:
    """Return bytes with a power of 1024, as memory is given.

    >>> binary(8 * 2**30), binary(1536)
    ('8.0 GiB', '1.5 KiB')
    """
    for prefix in ("", "Ki", "Mi", "Gi"):
        if nbytes < 1023.95:
            return f"{nbytes:.1f} {prefix}B" if prefix else f"{nbytes:.0f} B"
        nbytes /= 1024
    return f"{nbytes:.1f} TiB"


def duration(seconds: float) -> str:
    """Return a time in its two largest units.

    >>> duration(0.42), duration(12.3), duration(75), duration(3700), duration(200_000)
    ('0.4 s', '12 s', '1 min 15 s', '1 h 02 min', '2 d 08 h')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02d} min"
    hours = round(seconds / 3600)
    return f"{hours // 24} d {hours % 24:02d} h"


def short(text: str, width: int) -> str:
    """Return `text` in at most `width` letters; what is left out is its middle.

    >>> short("scans/2026/slide-0001.tif", 16)
    'scans/2…0001.tif'
    """
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}…{text[len(text) - (width - 1 - head) :]}"
