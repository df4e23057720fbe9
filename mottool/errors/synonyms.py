"""Words of other programs and papers for commands and settings of mottool, for near misses.

Each group has one meaning. A word that is unknown where another word of its group is known most
likely means that one: `--match-thres` is `--first-assoc` of a tracker that has no `match_thresh`.
"""

__all__ = ["normalise", "same_meaning"]

GROUPS = (
    # commands
    ("associate", "tracker", "tracking", "link", "linking", "association", "mot"),
    ("detect-embed", "detect", "detection", "embed", "extract", "predict", "infer", "inference"),
    ("evaluate", "eval", "score", "metrics", "trackeval"),
    ("validate", "val", "test"),
    ("render", "draw", "visualize", "visualise", "video", "show", "annotate"),
    ("tune", "optimize", "optimise", "search", "evolve"),
    ("compare", "benchmark", "report"),
    ("convert", "export", "import"),
    ("weights", "models", "checkpoints", "download", "fetch"),
    ("inspect", "info", "describe"),
    ("status", "list", "ls"),
    ("distill-labels", "distill", "teacher"),
    # trackers and networks
    ("deepsort", "strongsort"),
    # settings: the highest cost of a match, by embedding where there is one
    ("first_assoc", "reid_thres", "max_cosine_distance", "match_thres", "match_thresh", "max_dist"),
    ("max_cosine_distance", "match_thres", "match_thresh", "appearance_thresh", "max_dist"),
    # the lowest score of a detection
    (
        *("conf_thres", "track_thresh", "min_confidence", "score_filter", "min_score", "conf"),
        *("confidence", "track_high_thresh", "det_thresh", "score_thresh", "threshold"),
    ),
    ("low_thresh", "track_low_thresh", "min_conf"),
    ("new_thresh", "det_thresh", "new_track_thresh", "init_thresh"),
    # how long a lost track is kept
    ("track_buffer", "max_age", "max_lost", "max_time_lost", "lost_track_buffer"),
    ("min_hits", "n_init", "minimum_consecutive_frames"),
    ("iou_threshold", "second", "max_iou_distance", "iou", "iou_thresh", "asso_threshold"),
    ("asso", "asso_func", "association_function", "similarity"),
    ("nn_budget", "budget", "gallery"),
    ("fill_gaps", "interpolate", "interpolation", "n_dti"),
    ("input", "imgsz", "img_size", "resolution", "size"),
    ("weights", "model", "checkpoint", "ckpt", "yolo_model", "yolo_weights"),
    ("embedder_weights", "reid_model", "reid_weights", "with_reid"),
    ("render", "save", "save_vid", "save_video"),
    ("person_class", "classes", "cls"),
    ("work", "project", "output", "save_dir"),
    ("overwrite", "force", "exist_ok"),
    ("jobs", "workers", "processes"),
    ("gt", "ground_truth", "truth"),
    ("pipeline", "detector", "network", "model"),
    ("tracker", "tracking_method"),
)


def normalise(word: str) -> str:
    """Return a word without the differences of case, hyphens and underscores."""
    return word.casefold().strip("-").replace("-", "_")


def same_meaning(word: str) -> list[str]:
    """Return the normalised words of all groups that contain `word`."""
    wanted = normalise(word)
    groups = ([normalise(name) for name in group] for group in GROUPS)
    return [name for group in groups if wanted in group for name in group]
