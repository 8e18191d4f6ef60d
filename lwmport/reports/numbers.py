"""Numbers as people read them: three significant digits, a unit, scientific only where zeros would pile up."""

import math


def number(value: float) -> str:
    """Return three significant digits: ``0.0123``, ``1.8e-5``, ``∞``."""
    return digits(value, 3)


def precise(value: float) -> str:
    """Return nine significant digits: as many as tell any two float32 apart."""
    return digits(value, 9)


def digits(value: float, significant: int) -> str:
    """Return so many significant digits, with a short exponent outside of 0.001 to 100,000."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("∞" if value > 0 else "−∞")
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        whole = abs(value) >= 10 ** (significant - 1)
        return _minus(f"{value:.0f}" if whole else f"{value:.{significant}g}")
    mantissa, _, exponent = f"{value:.{significant - 1}e}".partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return _minus(f"{mantissa}e{int(exponent)}")


def _minus(text: str) -> str:
    """Return the text with a real minus sign before the number, the ASCII one in the exponent."""
    return "−" + text[1:] if text.startswith("-") else text


def count(value: int) -> str:
    """Return an integer with its thousands apart: ``196,608``."""
    return _minus(f"{value:,}")


def percent(value: float) -> str:
    """Return a fraction in percent: ``18 %``, ``0.24 %``."""
    return f"{number(value * 100)} %"


def share(value: float) -> str:
    """Return a part of a whole: ``46 %``; past ten times the whole ``8,684 ×``."""
    if not math.isfinite(value):
        return number(value)
    if abs(value) < 10:
        return percent(value)
    return f"{count(round(value)) if abs(value) < 1e6 else number(value)} ×"


def decibels(value: float) -> str:
    """Return decibels with one decimal: ``98.7 dB``; infinite ones mean that nothing differs."""
    return f"{value:.1f} dB".replace("-", "−") if math.isfinite(value) else f"{number(value)} dB"


def near_one(value: float) -> str:
    """Return a cosine or an SSIM; near 1 its distance from it, or all would look alike."""
    if 0.999 < value < 1:
        return f"1 − {number(1 - value)}"
    return number(value)


def size(count_of_bytes: int) -> str:
    """Return bytes in decimal units: ``341 MB``."""
    value = float(count_of_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if value < 999.5:
            return f"{value:.3g} {unit}"
        value /= 1000
    return f"{value:.3g} TB"


def seconds(value: float) -> str:
    """Return a duration: ``640 µs``, ``13.2 ms``, ``2.61 s``, ``3 min 20 s``."""
    if not math.isfinite(value):
        return f"{number(value)} s"
    if value >= 100:
        minutes, rest = divmod(round(value), 60)
        return f"{minutes} min {rest} s"
    for factor, unit in ((1.0, "s"), (1e3, "ms")):
        if value * factor >= 0.9995 or value == 0:
            return f"{number(value * factor)} {unit}"
    return f"{number(value * 1e6)} µs"


def position(index: tuple[int, ...]) -> str:
    """Return an index as numpy prints it: ``[0, 12, 200, 1]``."""
    return f"[{', '.join(map(str, index))}]"
