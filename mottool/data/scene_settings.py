"""How training scenes are composed and varied; nothing heavy is imported here."""

from dataclasses import dataclass

from mottool.settings import Settings, setting

__all__ = ["Composition", "Photometry"]


@dataclass(frozen=True)
class Photometry(Settings):
    """How strongly and how often a scene's look is varied."""

    light: float = setting(
        0.35,
        "How much brightness and contrast vary, as a part of themselves; gamma and tint vary too.",
        low=0,
        high=0.9,
    )
    saturation: float = setting(
        0.5, "How much saturation varies, as a part of itself.", low=0, high=1
    )
    grey: float = setting(0.04, "How often an image loses its colours.", low=0, high=1)
    blur: float = setting(0.12, "How often an image is blurred.", low=0, high=1)
    low_resolution: float = setting(
        0.15, "How often an image is shrunk and enlarged again.", low=0, high=1
    )
    noise: float = setting(0.4, "How often an image gets noise.", low=0, high=1)


@dataclass(frozen=True)
class Composition(Photometry):
    """How scenes are composed."""

    mosaic: float = setting(0.5, "How often a scene is a mosaic of four images.", low=0, high=1)
    shrink: float = setting(
        0.7, "Least scale of a single image, 1 fitting it in.", low=0.05, high=1
    )
    grow: float = setting(2.1, "Greatest scale of a single image.", low=1, high=10)
    tile_shrink: float = setting(0.45, "Least scale of a mosaic's image.", low=0.05, high=1)
    tile_grow: float = setting(1.6, "Greatest scale of a mosaic's image.", low=1, high=10)
    paste: float = setting(
        0.3,
        "How often people are pasted into a scene: those that masks cut out, and the crops of "
        "datasets for re-identification.",
        low=0,
        high=1,
    )
    most_pasted: int = setting(4, "Most people that are pasted into one scene.", low=1)
