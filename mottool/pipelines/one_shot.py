"""One-shot networks in pipelines: as a whole, or as the embedder of boxes from elsewhere."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from mottool.checkpoints.cards import Card, read_card
from mottool.checkpoints.download import missing_weights_fix
from mottool.detections import Detections
from mottool.errors import InputError, SettingError
from mottool.models.device import Compute
from mottool.models.interfaces import Decoded, Deployable, EmbeddingNetwork, Network
from mottool.models.preprocessing import Letterbox, Preprocessor
from mottool.pipelines import registry
from mottool.pipelines.interfaces import FrameTimes
from mottool.pipelines.load_network import bundled_file, load_network
from mottool.pipelines.options import Options, input_size
from mottool.sources.sequence import Frame
from mottool.sources.sequence import Sequence as Source

__all__ = ["NetworkEmbedder", "OneShotPipeline", "embedder", "pipeline"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def pipeline(name: str, options: Options) -> "OneShotPipeline":
    """The pipeline of one of `registry.NETWORKS`, with the weights of its checkpoint.

    Raises `SettingError` for missing weights or what this network cannot do, `CheckpointError`
    for a file that does not fit.
    """
    entry = registry.NETWORKS[name]
    if entry.session and options.batch > 1:
        problem = f"{name} is recurrent: an image needs what was found in the one before"
        raise SettingError(f"{problem}, so they cannot go in batches", "leave out --batch")
    compute = Compute.named(options.device, options.precision)
    path = _weights(name, options.weights, "--weights")
    network, weights = _loaded(name, path, compute)
    card = read_card(path)
    if options.occlusion_maps and getattr(network, "occlusion", None) is None:
        fix = (
            "leave it out, or choose outrack, or otrack with weights that have the occlusion heads"
        )
        raise SettingError(f"--occlusion-maps: {name} makes none", fix)
    return OneShotPipeline(
        name,
        network,
        weights,
        _view(name, options, card),
        compute,
        entry.min_score if options.min_score is None else options.min_score,
        options.batch,
        session=registry.resolve(entry.session) if entry.session else None,
        stride=network.stride if options.occlusion_maps else 0,
        fitted=_fitted(card, weights),
    )


def embedder(name: str, options: Options) -> "NetworkEmbedder":
    """The embeddings of one of `registry.NETWORKS`, read at given boxes."""
    compute = Compute.named(options.device, options.precision)
    path = _weights(name, options.embedder_weights, "--embedder-weights")
    network, weights = _loaded(name, path, compute)
    view = _view(name, options, read_card(path))
    return NetworkEmbedder(name, network, weights, view, compute)


def _weights(name: str, given: Path | None, flag: str) -> Path:
    """The weights file that is given, or else the one in the box; a `SettingError` for neither."""
    bundled = registry.NETWORKS[name].bundled
    if given is None and not bundled:
        raise SettingError(f"{name} needs its weights", missing_weights_fix(name, flag))
    return given or bundled_file(bundled)


def _fitted(card: Card | None, sha256: str) -> dict[str, Any]:
    """What the card beside a weights file says of trackers, as a cache's header keeps it.

    A card of another file than that with `sha256` says nothing.
    """
    if card is None or card.sha256 != sha256 or not card.trackers:
        return {}
    trackers = {name: dict(table) for name, table in card.trackers.items()}
    return {"trackers": trackers} | ({"tracker": card.tracker} if card.tracker else {})


def _view(name: str, options: Options, card: Card | None) -> Any:
    """How the network sees frames: as it was told, was trained, or was published."""
    entry = registry.NETWORKS[name]
    trained = input_size(card.input) if card and card.input else None
    size = options.input or trained or (entry.width, entry.height)
    return registry.resolve(entry.view)(*size)


def _loaded(name: str, weights: Path, compute: Compute) -> tuple[Any, str]:
    """The network of that name and the sha256 of its checkpoint."""
    loaded = load_network(weights, name)
    network = loaded.network
    if isinstance(network, Deployable):
        network = network.deployed()
    return network.to(compute.device), loaded.checkpoint.sha256


class OneShotPipeline:
    """A network with its pre-processing."""

    def __init__(
        self,
        name: str,
        network: Network,
        weights: str,
        view: Preprocessor,
        compute: Compute,
        min_score: float,
        batch: int,
        session: Callable[[Any], Network] | None = None,
        stride: int = 0,
        fitted: Mapping[str, Any] | None = None,
    ) -> None:
        """Detections scoring above `min_score` are kept; `batch` frames go through in one call.

        `weights` is the sha256 of the checkpoint that `network` was loaded from. `session` makes
        of a recurrent network what one sequence goes through. With a `stride`, that of the
        network's heads, their heatmap of occlusion centres is kept whole. `fitted` are the
        settings of trackers that fit the network, which a cache's header keeps.
        """
        self.name, self.weights, self.batch = name, weights, batch
        self.network, self.view, self.compute = network, view, compute
        self.min_score = min_score
        self.session = session
        self.stride = stride
        self.fitted = fitted or {}

    def start(self, sequence: Source, warn: Callable[[str], None]) -> "OneShotPass":
        """Begin a sequence; an `InputError` if it has no images."""
        if not sequence.has_images:
            fix = "add its frames, or track its public detections (--pipeline public)"
            raise InputError(f"{sequence.path} has no images for a network to see", fix)
        return OneShotPass(self)


class OneShotPass:
    """One sequence going through a one-shot network."""

    needs_pixels = True

    def __init__(self, pipeline: OneShotPipeline) -> None:
        self.pipeline = pipeline
        self.replays = pipeline.session is not None
        self.network = pipeline.session(pipeline.network) if pipeline.session else pipeline.network
        view = pipeline.view
        self.settings: dict[str, Any] = {
            "input": f"{view.width}x{view.height}",
            "min_score": pipeline.min_score,
            "precision": str(pipeline.compute.dtype).removeprefix("torch."),
        }
        if pipeline.stride:
            self.settings["occlusion_stride"] = pipeline.stride
        self.settings |= pipeline.fitted

    @torch.inference_mode()
    def detect(self, frames: Sequence[Frame]) -> Iterator[tuple[Detections, FrameTimes]]:
        """What the network sees in each frame, all of them in one call."""
        compute, begun = self.pipeline.compute, perf_counter()
        images = _stacked([frame.image for frame in frames], self.pipeline.view, compute)
        with compute.autocast():
            heads = self.network.forward(images)
        compute.wait()
        network = (perf_counter() - begun) / len(frames)
        begun = perf_counter()
        decoded = self.network.decode(heads, self.pipeline.min_score)
        maps: list[Image | None] = [None] * len(frames)
        if self.pipeline.stride:
            maps = [
                *(heads["occlusion"].float().sigmoid()[:, 0] * 255).round().byte().cpu().numpy()
            ]
        found = [
            self._on_frame(each, frame.image, own)
            for each, frame, own in zip(decoded, frames, maps, strict=True)
        ]
        seconds = (perf_counter() - begun) / len(frames)
        for detections in found:
            yield detections, FrameTimes(network=network, heads=seconds)

    def _on_frame(self, found: Decoded, image: Image, occlusion: Image | None) -> Detections:
        """The detections of one image in the pixels of its frame, with its occlusion map."""
        height, width = image.shape[:2]
        view = self.pipeline.view
        centres = np.zeros((0, 3), np.float32)
        if found.occlusion_centres is not None:
            centres = found.occlusion_centres.cpu().numpy()  # (k, 3)
            centres[:, :2] = view.to_frame(centres[:, :2], width, height)
        points = offsets = None
        if found.centres is not None and found.offsets is not None:
            before = view.to_frame((found.centres + found.offsets).cpu().numpy(), width, height)
            points = view.to_frame(found.centres.cpu().numpy(), width, height)
            offsets = before - points
        embeddings = found.embeddings
        return Detections(
            boxes=view.to_frame(found.boxes.cpu().numpy(), width, height),
            scores=found.scores.cpu().numpy(),
            classes=found.classes.cpu().numpy().astype(np.uint16),
            embeddings=None if embeddings is None else embeddings.cpu().numpy(),
            occlusion_centres=centres,
            centres=points,
            offsets=offsets,
            occlusion_map=occlusion,
        )


class NetworkEmbedder:
    """A one-shot network's embeddings at boxes that are not its own."""

    def __init__(
        self, name: str, network: EmbeddingNetwork, weights: str, view: Letterbox, compute: Compute
    ) -> None:
        """As `OneShotPipeline`."""
        self.name, self.weights = name, weights
        self.network, self.view, self.compute = network, view, compute
        self.settings: dict[str, Any] = {"input": f"{view.width}x{view.height}"}

    @torch.inference_mode()
    def heads(self, images: Sequence[Image]) -> dict[str, torch.Tensor]:
        """The network's raw heads of frames (h, w, 3), all in one call."""
        with self.compute.autocast():
            return self.network.forward(_stacked(images, self.view, self.compute))

    @torch.inference_mode()
    def embed(self, images: Sequence[Image], boxes: Sequence[Floats]) -> list[Floats]:
        """Unit embeddings (n, D) of the boxes (n, 4) of each image, all images in one call."""
        heads = self.heads(images)
        placed = [
            torch.from_numpy(self.view.from_frame(own, image.shape[1], image.shape[0])).to(
                self.compute.device
            )
            for image, own in zip(images, boxes, strict=True)
        ]
        return [found.cpu().numpy() for found in self.network.embed_at(heads, placed)]


def _stacked(images: Sequence[Image], view: Preprocessor, compute: Compute) -> torch.Tensor:
    """Network inputs (B, 3, H, W) of frames (h, w, 3)."""
    return torch.from_numpy(np.stack([view.image(image) for image in images])).to(compute.device)
