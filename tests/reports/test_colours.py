import numpy as np
from skimage.color import rgb2lab

from lwmport.reports import colours


def test_lightness_rises_evenly() -> None:
    """Perceptually uniform: every equal step of the value is about an equal step of CIELAB's L*."""
    lightness = rgb2lab(colours.heat(np.linspace(0, 1, 256), 1.0) / 255)[:, 0]
    steps = np.diff(lightness[::16])
    assert (steps > 0).all()
    assert steps.max() < 2 * steps.mean()
    assert lightness[-1] > 95
    assert lightness[0] < 1


def test_the_ends_of_the_scale() -> None:
    black, yellow, above, nan, infinite = colours.heat(np.array([0, 2.0, 9.0, np.nan, np.inf]), 2.0)
    assert tuple(black) == colours.INFERNO[0]
    assert tuple(yellow) == tuple(above) == colours.INFERNO[-1]
    assert tuple(nan) == tuple(infinite) == colours.INCOMPARABLE


def test_no_error_at_all_is_black() -> None:
    assert (colours.heat(np.zeros((2, 2)), 0.0) == colours.INFERNO[0]).all()


def test_neighbouring_codes_look_different() -> None:
    painted = colours.codes(np.arange(8192).reshape(64, 128)).reshape(-1, 3).astype(int)
    assert np.abs(np.diff(painted, axis=0)).sum(axis=1).min() > 60


def test_one_code_has_one_colour_wherever_it_is() -> None:
    alone, together = colours.codes(np.array([[7]])), colours.codes(np.array([[3, 7], [7, 9000]]))
    assert (alone[0, 0] == together[0, 1]).all()
    assert (together[0, 1] == together[1, 0]).all()
