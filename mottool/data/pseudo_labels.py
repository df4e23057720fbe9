"""Pseudo-labels: confident detections of unlabelled video, as a dataset (data distillation).

Radosavovic, Dollár, Girshick, Gkioxari & He, "Data distillation: towards omni-supervised learning",
CVPR 2018, §3: predictions above a score threshold are used as annotations. The dataset is a COCO
file, which `data.readers.coco` and other tools read. Less confident detections are crowds there:
regions to ignore. Images without a confident detection are omitted: a person missed there would be
learned as background.
"""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import cv2

from mottool.boxes import tlwh_from_xyxy
from mottool.cache.hdf5 import check_same_fields
from mottool.cache.reader import Cache
from mottool.detections import PERSON, Detections
from mottool.errors import CacheError, InputError, writing
from mottool.files import atomic_write
from mottool.progress import progress
from mottool.sources.images import images_in
from mottool.sources.sequence import SubsampledSequence

__all__ = ["write_pseudo_labels"]

JPEG_QUALITY = 95
PERSON_CATEGORY = 1  # in COCO


def write_pseudo_labels(
    sequence: SubsampledSequence,
    detections: Path,
    out: Path,
    min_score: float,
    overwrite: bool = False,
) -> Path:
    """Write the person detections of a cache that score above `min_score` as a COCO file.

    Frames of a video are saved as JPEG in the folder `out` without its suffix, because training
    reads images in random order; images of a folder are referenced where they are. An existing file
    made from the same inputs is kept.

    Raises `CacheError` if `out` was made from other inputs, unless `overwrite`, and `InputError` if
    no detection scores above `min_score`.
    """
    with Cache(detections) as cache:
        header = cache.header
        inputs = {
            "detector": header.pipeline,
            "weights": header.weights,
            "settings": dict(header.settings),
            "source_hash": header.source_hash,
            "min_score": min_score,
            "upright": True,
        }
        if out.exists() and not overwrite:
            check_same_fields(out, _recorded_inputs(out), inputs)
            return out
        people = {
            number: frame.take(frame.classes == PERSON)
            for number, frame in enumerate(cache.frames(), cache.first_frame)
        }
    people = {number: frame for number, frame in people.items() if (frame.scores > min_score).any()}
    if not people:
        problem = f"{header.pipeline} detected no person in {sequence.path} above {min_score}"
        raise InputError(problem, "lower --detector-score, or choose another detector")
    names = _image_names(sequence, people, out.parent / out.stem)
    document = {"info": inputs} | _coco(sequence, people, names, min_score)
    with atomic_write(out) as temporary:
        temporary.write_text(json.dumps(document))
    return out


def _recorded_inputs(path: Path) -> dict[str, Any]:
    """Read the recorded inputs of a COCO file. Raises `CacheError` if there are none."""
    try:
        inputs: dict[str, Any] = json.loads(path.read_text())["info"]
        inputs.items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        fix = "move it away, or replace it with --overwrite"
        raise CacheError(f"{path} does not record what it was made from", fix) from error
    return inputs


def _image_names(
    sequence: SubsampledSequence, frames: Collection[int], folder: Path
) -> dict[int, str]:
    """Return the file name of each frame, as the COCO file refers to it; save video frames."""
    if sequence.media and sequence.media.is_dir():
        files = images_in(sequence.media)
        return {
            number: str(files[sequence.original_number(number) - 1].resolve()) for number in frames
        }
    names = {}
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for frame in progress(sequence.frames(), f"{sequence.name}: images", sequence.length):
        if frame.number in frames:
            file = folder / f"{sequence.original_number(frame.number):06d}.jpg"
            _, data = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
            with atomic_write(file) as temporary:
                temporary.write_bytes(data.tobytes())
            names[frame.number] = f"{folder.name}/{file.name}"
    return names


def _coco(
    sequence: SubsampledSequence,
    detections: Mapping[int, Detections],
    names: Mapping[int, str],
    min_score: float,
) -> dict[str, Any]:
    """Build the images, annotations and categories of the COCO file.

    Image ids are frame numbers of the original sequence. Detections that score `min_score` or less
    are crowds.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    size = {"width": sequence.width, "height": sequence.height}
    for number, frame in detections.items():
        image_id = sequence.original_number(number)
        image = {"id": image_id, "file_name": names[number], "video_id": 0, "frame_id": image_id}
        images.append(image | size)
        boxes = tlwh_from_xyxy(frame.boxes.astype("f8"))  # (n, 4)
        for box, score in zip(boxes.tolist(), frame.scores.tolist(), strict=True):
            annotation = {
                "id": len(annotations) + 1,
                "image_id": image_id,
                "category_id": PERSON_CATEGORY,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": int(score <= min_score),
                "score": score,
            }
            annotations.append(annotation)
    categories = [{"id": PERSON_CATEGORY, "name": "person"}]
    return {"images": images, "annotations": annotations, "categories": categories}
