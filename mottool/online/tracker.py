"""A tracker as an object: it links detections into tracks as the frames arrive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import numpy.typing as npt

from mottool.association.embedded_scores import missing_embeddings
from mottool.association.fitted_settings import fitted_settings, fitted_tracker
from mottool.association.registry import DEFAULT_TRACKER, TRACKERS
from mottool.association.run_tracker import select_detections
from mottool.association.sequence_settings import (
    InputSettings,
    PostprocessSettings,
    SequenceSettings,
)
from mottool.association.tracks import SequenceInfo, Tracks
from mottool.association.tracks import Tracker as SequenceTracker
from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.errors import SettingError, did_you_mean, naming_arguments
from mottool.online.detections import as_detections, as_supervision, is_supervision
from mottool.online.pipeline import Pipeline, pipeline_settings

if TYPE_CHECKING:
    import supervision

__all__ = ["Tracker"]

Array = npt.ArrayLike


class Tracker:
    """Links the detections of one video into tracks, frame by frame.

        tracker = mottool.Tracker("bytetrack", fps=25, track_buffer=60)
        for boxes in frames:               # (N, 5): x1, y1, x2, y2, score
            tracks = tracker.update(boxes)
            print(tracks.ids, tracks.boxes)

    Given the same detections and settings, the tracks are exactly the rows of `mottool.track` and
    of `mottool associate`. What needs later frames is not available here: postprocessing
    (`min_track_length`, `fill_gaps`, `smooth`), and the detection of frames that are missing in a
    video, for which there is `elapsed` of `update`.

    `name` is the tracker's, `settings` are all its settings.
    """

    @naming_arguments()
    def __init__(
        self,
        tracker: str | None = None,
        *,
        pipeline: str | Pipeline | Cache | None = None,
        fps: float = 30.0,
        size: tuple[int, int] | None = None,
        **settings: Any,
    ) -> None:
        """Set up `tracker`, a name such as "fairmot", with keywords for its settings.

        The keywords are those of `mottool associate`'s flags, such as `conf_thres=0.5`; `classes`
        and `min_score` select the detections to track. Other settings have the values that the
        tracker's authors published. With a `pipeline` (a name such as "mottool-s", a
        `mottool.Pipeline` or an open cache), they have the values that fit its network, and the
        default tracker is the one that suits it; else it is fairmot.

        `fps` are the frames per second of the video. Most trackers keep lost tracks for a time and
        convert it to frames. `size` is the width and height of the images in pixels, for settings
        that clip boxes. Raises `SettingError` for an unknown tracker or setting.
        """
        fitting = _fitting(pipeline)
        name = tracker or fitted_tracker(fitting) or DEFAULT_TRACKER
        if name not in TRACKERS:
            raise SettingError(f"there is no tracker {name!r}", did_you_mean(name, TRACKERS))
        for key in settings:
            if key in PostprocessSettings.__dataclass_fields__:
                problem = f"{key} needs the frames that follow, which a Tracker does not have"
                raise SettingError(problem, "leave it out, or use mottool associate on a cache")
            if key == "fixed_rate":
                fix = "leave it out: frames are evenly spaced unless update is given elapsed"
                raise SettingError("fixed_rate is a setting for caches", fix)
        if not fps > 0:
            raise SettingError(f"fps cannot be {fps}", "give the frames per second of the video")
        classes = {name: TRACKERS[name].settings, "input": InputSettings}
        fitted = fitted_settings(fitting, name)
        built: Any = SequenceSettings().of("", classes, settings, fitted)
        self.name, self.settings = name, built[0]
        self._inputs: InputSettings = built[1]
        if missing := missing_embeddings(name, self.settings, self._inputs, fitting):
            raise SettingError(*missing)
        width, height = size or (np.inf, np.inf)
        self._public: npt.NDArray[np.float32] | None = None
        self._sequence = SequenceInfo(fps, width, height, lambda frame: self._public_boxes())
        self._tracker = self._start()

    def _start(self) -> SequenceTracker:
        return TRACKERS[self.name].load()(self.settings, self._sequence)

    def reset(self) -> None:
        """Start another video: remove all tracks and count identities from 1 again."""
        self._tracker = self._start()

    @overload
    def update(
        self,
        detections: supervision.Detections,
        *,
        embeddings: Array | None = ...,
        offsets: Array | None = ...,
        occlusion_centres: Array | None = ...,
        camera_motion: Array | None = ...,
        public: Array | None = ...,
        elapsed: float = ...,
    ) -> supervision.Detections: ...

    @overload
    def update(
        self,
        detections: Detections | Array,
        *,
        embeddings: Array | None = ...,
        offsets: Array | None = ...,
        occlusion_centres: Array | None = ...,
        camera_motion: Array | None = ...,
        public: Array | None = ...,
        elapsed: float = ...,
    ) -> Tracks: ...

    @naming_arguments()
    def update(
        self,
        detections: Any,
        *,
        embeddings: Array | None = None,
        offsets: Array | None = None,
        occlusion_centres: Array | None = None,
        camera_motion: Array | None = None,
        public: Array | None = None,
        elapsed: float = 1.0,
    ) -> Any:
        """Track the next frame and return its tracks; call it for frames without detections too.

        `detections` are a `mottool.Detections`, a `supervision.Detections`, or an array (N, 5) of
        x1, y1, x2, y2 in pixels and the score in [0, 1], or (N, 6) with the class. For the latter
        two, `embeddings` (N, D) are the appearance of each box; `offsets` (N, 2) the motion in
        pixels, x y, from its centre to its position in the previous frame; `occlusion_centres`
        (K, 3) x, y and score; `camera_motion` (2, 3) maps pixels of the background from the
        previous frame to this one, as `mottool.SparseFlowMotion` estimates it. `public` (P, 4) are
        boxes near which tracks may start, with `track_type="public_track"`. `elapsed` is the time
        since the previous frame, in frames: 2 if one frame was lost.

        Returns `Tracks` with `ids` (m,), `boxes` (m, 4) and `scores` (m,), or, for
        `supervision.Detections`, the same type with `tracker_id`; classes and `data` are those of
        the detection with the highest IoU. Raises `SettingError`, which names the argument, for
        arrays of a wrong shape and for what the tracker needs and does not get.
        """
        frame = as_detections(detections, embeddings, offsets, occlusion_centres, camera_motion)
        self._check(frame)
        if public is not None:
            public = np.asarray(public, np.float32).reshape(-1, 4)
        self._public = public
        if not elapsed > 0:
            raise SettingError(f"elapsed cannot be {elapsed}", "give 1 for consecutive frames")
        tracks = self._tracker.update(select_detections(frame, self._inputs), elapsed)
        return as_supervision(tracks, detections) if is_supervision(detections) else tracks

    def _check(self, detections: Detections) -> None:
        """Raise `SettingError` if the detections lack what the tracker needs."""
        for need in TRACKERS[self.name].required(self.settings):
            if len(detections) and getattr(detections, need) is None:
                raise SettingError(*self._missing(need))

    def _missing(self, need: str) -> tuple[str, str]:
        """Return the problem, and the fix, of a missing field of detections."""
        if need == "camera_motion":
            fix = "give camera_motion to update, as mottool.SparseFlowMotion estimates it, or set "
            return f"{self.name} compensates for camera motion", f"{fix}camera_motion=False"
        others = [name for name, entry in TRACKERS.items() if need not in entry.needs]
        fix = f"give {need} to update, or use a tracker without: {', '.join(others)}"
        return f"{self.name} matches by {need}, which are missing", fix

    def _public_boxes(self) -> npt.NDArray[np.float32]:
        """Return the public boxes of the frame. Raises `SettingError` if there are none."""
        if self._public is None:
            fix = "give public to update, an array (P, 4), or leave track_type out"
            raise SettingError("track_type public_track needs the public boxes", fix)
        return self._public


def _fitting(pipeline: str | Pipeline | Cache | None) -> Mapping[str, Any]:
    """Return the settings of trackers that fit a pipeline, in the form of a cache's header."""
    if pipeline is None:
        return {}
    if isinstance(pipeline, Cache):
        return pipeline.header.settings
    return pipeline.settings if isinstance(pipeline, Pipeline) else pipeline_settings(pipeline)
