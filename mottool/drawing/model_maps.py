"""Maps of several models' embeddings side by side, above pictures of some of the people.

Zhang, Wang, Wang, Zeng & Liu, "A simple baseline for multi-object tracking", arXiv 2004.01888v1
(the first version of FairMOT's paper), Fig. 3 and 4.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from mottool.drawing.identity_colours import identity_colours
from mottool.drawing.style import BGR, COLOURS, rgb_from_bgr, save_figure
from mottool.motchallenge.rows import Rows

__all__ = ["ModelMap", "Picture", "draw_models"]

Floats = npt.NDArray[np.floating[Any]]

MAP_SIZE = 3.6  # inches, of one map
PICTURE_HEIGHT = 2.6  # inches, at most
PERSON_RATIO = 0.5  # width over height of a person who is cut out of a picture
CONTEXT = 1.15  # its height, in heights of the person
APART = 100  # frames, in which maps are no neighbours of each other
CLUSTER_SIZE = 0.1  # of a person's points, as a share of the map's size
ARROW = "#d00000"
ARROW_LENGTH = 26  # points


@dataclass(frozen=True)
class ModelMap:
    """Points (n, 2) of one model, and the number of the person of each."""

    name: str
    points: Floats
    people: Sequence[int]


@dataclass(frozen=True)
class Picture:
    """A frame (H, W, 3) BGR, and the boxes (4,) x1 y1 x2 y2 of highlighted people by their rank."""

    title: str
    image: npt.NDArray[np.uint8]
    boxes: Sequence[tuple[int, Floats]]


def draw_models(
    maps: Sequence[ModelMap], highlighted: Sequence[int], pictures: Sequence[Picture], path: Path
) -> Path:
    """Draw the maps in a row and the pictures below them.

    A person has the same colour in all maps, and those close to each other in a map differ. The
    `highlighted` people have letters: red arrows point at them in the maps, and boxes of their
    colours show them in the pictures. Each is also cut out beside its picture.
    """
    width = MAP_SIZE * len(maps)
    ratios = [ratio for picture in pictures for ratio in _ratios(picture)]
    # Space for the titles, and twice the gaps, in inches.
    height = min(PICTURE_HEIGHT, 0.9 * width / sum(ratios)) + 0.3 if ratios else 0.0
    figure = Figure((width, MAP_SIZE + height), layout="constrained")
    heights = (MAP_SIZE, height) if pictures else (MAP_SIZE,)
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    colours = _colours_of(maps)
    for axes, model in zip(parts[0].subplots(1, len(maps), squeeze=False)[0], maps, strict=True):
        _draw_map(axes, model, highlighted, colours)
    if pictures:
        columns = iter(parts[1].subplots(1, len(ratios), width_ratios=ratios, squeeze=False)[0])
        for picture in pictures:
            _draw_picture(next(columns), picture)
            for rank, box in sorted(picture.boxes, key=lambda item: item[0]):
                _draw_person(next(columns), picture.image, rank, box)
    return save_figure(figure, path)


def _ratios(picture: Picture) -> list[float]:
    """Return width over height of a picture and of the people that are cut out of it."""
    height, width = picture.image.shape[:2]
    return [width / height, *(PERSON_RATIO for _ in picture.boxes)]


def _colours_of(maps: Sequence[ModelMap]) -> dict[int, BGR]:
    """Choose the colour of each person: `identity_colours` of the medians, a frame for each map."""
    frames, people, medians = list[int](), list[int](), list[Floats]()
    for number, model in enumerate(maps):
        numbers = np.asarray(model.people)
        points = model.points / np.maximum(np.ptp(model.points, axis=0).max(), 1e-9)
        for person in np.unique(numbers).tolist():
            frames.append(1 + APART * number)
            people.append(person)
            medians.append(np.median(points[numbers == person], axis=0))
    sizes = np.full((len(people), 2), CLUSTER_SIZE)
    tlwh = np.hstack([np.asarray(medians, np.float64), sizes])
    rest = np.zeros((len(people), 0))
    return identity_colours(Rows(np.array(frames), np.array(people), tlwh, rest))


def _draw_map(
    axes: Axes, model: ModelMap, highlighted: Sequence[int], colours: Mapping[int, BGR]
) -> None:
    """Draw the points of a model, with arrows at the highlighted people."""
    people = np.asarray(model.people)
    order = [person for person in np.unique(people).tolist() if person not in highlighted]
    for person in order:
        points = model.points[people == person]
        colour = rgb_from_bgr(colours[person])
        axes.scatter(points[:, 0], points[:, 1], s=7, color=colour, linewidths=0, alpha=0.8)
    middle = np.median(model.points, axis=0)
    for rank, person in enumerate(highlighted):
        points = model.points[people == person]
        if not len(points):
            continue
        axes.scatter(
            points[:, 0], points[:, 1], s=15, color=_colour(rank), edgecolors="black",
            linewidths=0.3, zorder=3,
        )  # fmt: skip
        nearest = points[np.linalg.norm(points - np.median(points, axis=0), axis=1).argmin()]
        outwards = nearest - middle
        outwards = outwards / max(float(np.linalg.norm(outwards)), 1e-9)
        axes.annotate(
            ascii_uppercase[rank % 26], nearest, outwards * ARROW_LENGTH,
            textcoords="offset points", ha="center", va="center", weight="bold", zorder=5,
            path_effects=[withStroke(linewidth=2, foreground="white")],
            arrowprops={"arrowstyle": "-|>", "color": ARROW, "shrinkB": 2, "shrinkA": 1},
        )  # fmt: skip
    axes.margins(0.12)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(model.name, fontsize="medium")
    label = f"{len(people)} embeddings, {len(np.unique(people))} people"
    axes.set_xlabel(label, fontsize="small")


def _draw_picture(axes: Axes, picture: Picture) -> None:
    axes.imshow(cv2.cvtColor(picture.image, cv2.COLOR_BGR2RGB))
    for rank, box in picture.boxes:
        left, top, right, bottom = box.tolist()
        size = right - left, bottom - top
        axes.add_patch(
            Rectangle((left, top), *size, fill=False, edgecolor=_colour(rank), linewidth=2)
        )
        axes.annotate(
            ascii_uppercase[rank % 26], (left, top), (0, 1), textcoords="offset points",
            ha="left", va="bottom", weight="bold", fontsize="small", color=_colour(rank),
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(picture.title, fontsize="small")


def _draw_person(axes: Axes, image: npt.NDArray[np.uint8], rank: int, box: Floats) -> None:
    """Draw the part of a frame around a box, in a frame of the person's colour."""
    centre, (width, height) = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    height = CONTEXT * max(height, width / PERSON_RATIO, 1.0)
    half = np.array([height * PERSON_RATIO, height]) / 2
    axes.imshow(cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
    axes.set_facecolor("0.85")  # outside of the frame
    (left, top), (right, bottom) = (centre - half).tolist(), (centre + half).tolist()
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(ascii_uppercase[rank % 26], fontsize="small", weight="bold")
    for spine in axes.spines.values():
        spine.set(edgecolor=_colour(rank), linewidth=2.5)


def _colour(rank: int) -> str:
    return COLOURS[rank % len(COLOURS)]
