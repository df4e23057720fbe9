"""What a detector finds in unlabelled video, as a dataset: data distillation.

Radosavovic, Dollár, Girshick, Gkioxari & He, "Data distillation: towards omni-supervised
learning", CVPR 2018, §3: what a teacher is sure of in data that nobody annotated is taken for its
annotation. It is kept as a COCO file, which `data.coco` and other tools read. Detections that the
teacher is less sure of are crowds there: regions to ignore. Images of nobody are left out: people
that were overlooked there would be learned as background.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2

from mottool.boxes import tlwh_from_xyxy
from mottool.cache.hdf5 import refuse_others
from mottool.cache.reader import Cache
from mottool.detections import PERSON, Detections
from mottool.errors import CacheError, InputError, writing
from mottool.files import atomic_write
from mottool.progress import progress
from mottool.sources.images import images_in
from mottool.sources.sequence import SubsampledSequence

__all__ = ["write_pseudo_labels"]

QUALITY = 95  # of JPEG
CATEGORY = 1  # of people in COCO


def write_pseudo_labels(
    sequence: SubsampledSequence,
    detections: Path,
    out: Path,
    min_score: float,
    overwrite: bool = False,
) -> Path:
    """Write the people in the cache `detections` that score above `min_score` as COCO's `out`.

    Frames of a video with somebody in them go as JPEG into the folder beside `out` that bears its
    name, for training jumps between images; a folder's images are named where they lie. An `out`
    that was made of the same is left as it is. Raises `CacheError` if it was made of something
    else, unless `overwrite`, and `InputError` if nobody is found.
    """
    with Cache(detections) as cache:
        header = cache.header
        told = {
            "detector": header.pipeline,
            "weights": header.weights,
            "settings": dict(header.settings),
            "source_hash": header.source_hash,
            "min_score": min_score,
            "upright": True,
        }
        if out.exists() and not overwrite:
            refuse_others(out, _told(out), told)
            return out
        frames = enumerate(cache.frames(), 1)
        people = {number: found.take(found.classes == PERSON) for number, found in frames}
    people = {number: found for number, found in people.items() if (found.scores > min_score).any()}
    if not people:
        problem = f"{header.pipeline} found nobody in {sequence.path} above {min_score}"
        raise InputError(problem, "lower --detector-score, or choose another detector")
    names = _images(sequence, people, out.parent / out.stem)
    with atomic_write(out) as part:
        part.write_text(json.dumps({"info": told} | _coco(sequence, people, names, min_score)))
    return out


def _told(out: Path) -> dict[str, Any]:
    """What an earlier file says that it was made of."""
    try:
        told: dict[str, Any] = json.loads(out.read_text())["info"]
        told.items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        fix = "move it away, or start again with --overwrite"
        raise CacheError(f"{out} does not say what it was made of", fix) from error
    return told


def _images(
    sequence: SubsampledSequence, numbers: Mapping[int, Any], folder: Path
) -> dict[int, str]:
    """The names of the frames of those numbers, as a COCO file beside `folder` gives them."""
    if sequence.media and sequence.media.is_dir():
        files = images_in(sequence.media)
        return {number: str(files[sequence.place(number) - 1].resolve()) for number in numbers}
    names = {}
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    told = f"{sequence.name}: images"
    for frame in progress(sequence.frames(), told, sequence.length):
        if frame.number in numbers:
            file = folder / f"{sequence.place(frame.number):06d}.jpg"
            _, data = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
            with writing(file):
                file.write_bytes(data.tobytes())
            names[frame.number] = f"{folder.name}/{file.name}"
    return names


def _coco(
    sequence: SubsampledSequence,
    people: Mapping[int, Detections],
    names: Mapping[int, str],
    sure: float,
) -> dict[str, Any]:
    """The lists of a COCO file; images are numbered as in the whole sequence.

    People that score `sure` or less are crowds.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    size = {"width": sequence.width, "height": sequence.height}
    for number, found in people.items():
        place = sequence.place(number)
        image = {"id": place, "file_name": names[number], "video_id": 0, "frame_id": place}
        images.append(image | size)
        boxes = tlwh_from_xyxy(found.boxes.astype("f8"))  # (n, 4)
        for box, score in zip(boxes.tolist(), found.scores.tolist(), strict=True):
            row = {"id": len(annotations) + 1, "image_id": place, "category_id": CATEGORY}
            area = box[2] * box[3]
            row |= {"bbox": box, "area": area, "iscrowd": int(score <= sure), "score": score}
            annotations.append(row)
    categories = [{"id": CATEGORY, "name": "person"}]
    return {"images": images, "annotations": annotations, "categories": categories}
