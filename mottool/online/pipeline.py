"""A pipeline as an object: it detects and embeds people in one image after another."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.cache.layout import EMBED_MIN_SCORE
from mottool.detections import Detections
from mottool.errors import SettingError, did_you_mean, naming_arguments
from mottool.files import file_digest
from mottool.networks.registry import DEFAULT, NETWORKS
from mottool.pipelines.options import Options
from mottool.pipelines.registry import DETECTORS
from mottool.settings import build_settings

__all__ = ["Pipeline", "pipeline_settings"]

LOGGER = logging.getLogger(__name__)
IMAGE_FIX = "give an array (H, W, 3) of uint8 in the order B, G, R, as cv2.imread returns it"


class Pipeline:
    """Detects people in images, and usually embeds them; weights are loaded once.

        pipeline = mottool.Pipeline("mottool-s")
        detections = pipeline.detect(cv2.imread("image.jpg"))
        print(detections.boxes, detections.scores)

    The result equals that of `mottool detect-embed` with the same settings, so that a tracker
    makes the same tracks of both. `name` is the full name, and `settings` what determines the
    result, with the settings of trackers that fit the network.
    """

    @naming_arguments()
    def __init__(
        self,
        name: str = DEFAULT,
        *,
        embedder: str = "",
        warn: Callable[[str], None] = LOGGER.warning,
        **options: Any,
    ) -> None:
        """Load the pipeline `name`: a network, a detector, or DETECTOR+EMBEDDER.

        Keywords are the flags of `mottool detect-embed`, such as `weights="yolox.onnx"`,
        `min_score=0.3`, `input=(1088, 608)` or `device="cuda"`. `warn` receives a message for
        weights that were found on the disk. Raises `SettingError` for an unknown name or option and
        for missing weights, `CheckpointError` for weights that do not fit.
        """
        from mottool.pipelines.build import build_pipeline
        from mottool.pipelines.names import full_name

        if isinstance(options.get("input"), tuple):
            options["input"] = "x".join(map(str, options["input"]))
        full, chosen = full_name(name, embedder, "", build_settings(Options, options, name))
        self._warn = warn
        self._pipeline = build_pipeline(full, replace(chosen, batch=1), warn)
        self.name = self._pipeline.name
        self.settings: dict[str, Any] = dict(self._pipeline.fitted)
        if "+" in full:
            self.settings["embedder"] = full.partition("+")[2]
        if chosen.embed_min_score is not None:
            self.settings[EMBED_MIN_SCORE] = chosen.embed_min_score
        self._run: Any = None
        self._frames = 0

    def reset(self) -> None:
        """Start another video: forget the previous image, and count frames from 1 again.

        Only otrack, which reads the detections of the previous image, and boxes from files depend
        on it.
        """
        self._run, self._frames = None, 0

    @naming_arguments()
    def detect(self, image: npt.NDArray[np.uint8]) -> Detections:
        """Return the detections of an image (H, W, 3) BGR uint8, the next one of a video.

        They have boxes and scores; embeddings, occlusion centres and offsets if the network makes
        them. Raises `SettingError` for another kind of array.
        """
        from mottool.sources.sequence import Frame, Sequence

        shape: tuple[int, ...] = getattr(image, "shape", ())
        dtype = getattr(image, "dtype", None)
        if dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or not all(shape):
            raise SettingError(f"image is not a picture but {dtype} {tuple(shape)}", IMAGE_FIX)
        if self._run is None:
            path = Path("images")
            sequence = Sequence(path.name, path, 30.0, shape[1], shape[0], None, media=path)
            self._run = self._pipeline.start(sequence, self._warn)
        self._frames += 1
        frame = Frame(self._frames, np.ascontiguousarray(image), 0.0)
        detections: Detections = next(iter(self._run.detect([frame])))[0]
        if detections.embeddings is None:
            return detections
        # A cache stores half-precision embeddings.
        embeddings = detections.embeddings.astype(np.float16).astype(np.float32)
        return replace(detections, embeddings=embeddings)


def pipeline_settings(name: str) -> dict[str, Any]:
    """Return the settings of trackers that fit the pipeline `name`, without loading its network.

    They are in the form of a cache's header; {} if the card of its weights has none. Raises
    `SettingError` for an unknown name.
    """
    from mottool.checkpoints.cards import read_card
    from mottool.checkpoints.download import find_downloaded
    from mottool.checkpoints.manifest import bundled_file

    detector, _, embedder = name.partition("+")
    if detector not in NETWORKS:
        if detector not in DETECTORS:
            known = (*NETWORKS, *DETECTORS)
            raise SettingError(f"there is no pipeline {name!r}", did_you_mean(name, known))
        return {}
    bundled = NETWORKS[detector].bundled
    path = bundled_file(bundled) if bundled else find_downloaded(detector)
    card = read_card(path) if path else None
    fitted = card.tracker_settings() if card and path and card.sha256 == file_digest(path) else {}
    return fitted | ({"embedder": embedder} if embedder else {})
