"""The methods by name, and their settings as people give them.

A method is ``(model, x, unit) -> tensor of x's shape``, unnormalised. To add one: write a file like
``input_x_gradient.py`` and add a line to METHODS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..errors import VizError
from .backprojection import DECONVNET, GRADIENT, GUIDED
from .gradcam import GRADCAM, GRADCAM_TIME
from .gradcam_pp import GRADCAM_PP
from .guided_gradcam import GUIDED_GRADCAM
from .input_x_gradient import INPUT_X_GRADIENT
from .integrated_gradients import INTEGRATED_GRADIENTS
from .layercam import LAYERCAM
from .occlusion import OCCLUSION
from .rise import RISE
from .settings import Settings
from .smoothgrad import SMOOTHGRAD, SMOOTHGRAD_SQUARED
from .types import Method

METHODS: dict[str, Method] = {
    "deconvnet": DECONVNET,
    "guided": GUIDED,
    "gradient": GRADIENT,
    "input_x_gradient": INPUT_X_GRADIENT,
    "integrated_gradients": INTEGRATED_GRADIENTS,
    "smoothgrad": SMOOTHGRAD,
    "smoothgrad_squared": SMOOTHGRAD_SQUARED,
    "gradcam": GRADCAM,
    "gradcam_time": GRADCAM_TIME,
    "gradcam_pp": GRADCAM_PP,
    "layercam": LAYERCAM,
    "guided_gradcam": GUIDED_GRADCAM,
    "occlusion": OCCLUSION,
    "rise": RISE,
}
Given = Settings | Mapping[str, object] | None


def method_named(name: str) -> Method:
    """The method of METHODS.

    Raises:
        VizError: there is none of that name.
    """
    if name not in METHODS:
        raise VizError(f"no method {name!r}; there are {', '.join(METHODS)}")
    return METHODS[name]


def settings_of(name: str, given: Given = None) -> Settings | None:
    """The settings that a method runs with.

    Args:
        given: by name, those that are to differ from the default; or all of them as they are.

    Raises:
        VizError: the method has no such setting, or the value does not fit.
    """
    kind = method_named(name).settings
    if kind is None:
        if given:
            raise VizError(f"{name} has no settings, got {given!r}")
        return None
    if isinstance(given, Settings):
        if type(given) is not kind:
            raise VizError(f"{name} takes {kind.__name__}, got {type(given).__name__}")
        return given
    return kind.of(name, given or {})


def read_settings(words: Sequence[str], methods: Sequence[str]) -> dict[str, Settings]:
    """Settings as a command line gives them, of those methods that have any.

    Args:
        words: as in ``"smoothgrad.samples=50"``.
        methods: keys of METHODS, those that are asked for.

    Raises:
        VizError: something else, a setting given twice, or one of a method that is not asked for.
    """
    given: dict[str, dict[str, str]] = {method: {} for method in methods}
    for word in words:
        name, mark, value = word.partition("=")
        method, dot, setting = name.partition(".")
        if not (mark and dot):
            raise VizError(
                f"a setting is METHOD.NAME=VALUE as in gradcam.layer=conv5b, got {word!r}"
            )
        method_named(method)
        if method not in given:
            raise VizError(
                f"{word} sets {method}, which is not asked for; asked for: {', '.join(methods)}"
            )
        if setting in given[method]:
            raise VizError(f"{name} is given twice; leave one of them out")
        given[method][setting] = value
    found = {method: settings_of(method, given[method]) for method in given}
    return {method: settings for method, settings in found.items() if settings is not None}
