"""One-shot networks: as a whole pipeline, or as the embedder of given boxes."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from mottool.checkpoints.cards import Card, read_card
from mottool.checkpoints.download import required_weights
from mottool.checkpoints.manifest import bundled_file
from mottool.detections import Detections
from mottool.errors import InputError, SettingError
from mottool.models.device import Compute, DeviceTimer, SideStream, to_host
from mottool.models.interfaces import Decoded, Deployable, EmbeddingNetwork, Network
from mottool.models.network_input import NetworkInput
from mottool.models.preprocessing import Letterbox, Preprocessor
from mottool.networks.registry import NETWORKS, load
from mottool.pipelines.batch_size import fastest_batch, time_of_batches
from mottool.pipelines.interfaces import NO_SETTINGS, FrameTimes
from mottool.pipelines.load_network import load_network
from mottool.pipelines.options import AUTO_BATCH, Options, input_size
from mottool.pipelines.staged import PreparedFrame, Stages
from mottool.runtimes.choice import Runtimes, Started
from mottool.runtimes.interfaces import LoadedNetwork
from mottool.runtimes.registry import EAGER, recorded_runtime
from mottool.sources.sequence import Frame
from mottool.sources.sequence import Sequence as Source

__all__ = ["NetworkEmbedder", "OneShotPipeline", "build_embedder", "build_pipeline"]

Image = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def build_pipeline(name: str, options: Options) -> "OneShotPipeline":
    """Build the pipeline of the network `name` and load its weights.

    Raises `SettingError` if weights are missing or an option does not apply to this network, and
    `CheckpointError` if the weights do not fit.
    """
    entry = NETWORKS[name]
    compute = Compute.named(options.device, options.precision)
    path = _weights(name, options.weights, "--weights")
    network, weights = _load(name, path, compute)
    card = read_card(path)
    if options.occlusion_maps and getattr(network, "occlusion", None) is None:
        others = [entry.name for entry in NETWORKS.values() if entry.family.occlusion]
        fix = f"omit it, or use one of {', '.join(others)} with weights that have occlusion heads"
        raise SettingError(f"--occlusion-maps: these weights of {name} make none", fix)
    preprocessor = _preprocessor(name, options, card)
    batch = options.batch
    if batch == AUTO_BATCH:
        measurable = compute.device.type != "cpu" and not entry.family.session
        size = preprocessor.width, preprocessor.height
        batch = fastest_batch(time_of_batches(network, *size, compute)) if measurable else 1
    return OneShotPipeline(
        name,
        network,
        weights,
        preprocessor,
        compute,
        entry.family.min_score if options.min_score is None else options.min_score,
        batch,
        options.runtime,
        session=load(entry.family.session) if entry.family.session else None,
        occlusion_stride=network.stride if options.occlusion_maps else 0,
        fitted=_fitted(card, weights),
    )


def build_embedder(name: str, options: Options) -> "NetworkEmbedder":
    """Build an embedder that reads the embeddings of the network `name` at given boxes."""
    compute = Compute.named(options.device, options.precision)
    path = _weights(name, options.embedder_weights, "--embedder-weights")
    network, weights = _load(name, path, compute)
    if not getattr(network, "embeds", True):
        problem = f"{path} has no embedder: it was trained with --detector-only"
        raise SettingError(problem, "give weights that were trained with --labels")
    preprocessor = _preprocessor(name, options, read_card(path))
    frames = max(options.batch, 1)  # auto measures the batches of a detector
    parts = name, network, weights, preprocessor, compute
    return NetworkEmbedder(*parts, frames, options.runtime)


def _weights(name: str, given: Path | None, flag: str) -> Path:
    """Return the given weights file, else the bundled one. Raises `SettingError` without either."""
    bundled = NETWORKS[name].bundled
    if bundled and given is None:
        return bundled_file(bundled)
    return required_weights(name, given, flag)


def _fitted(card: Card | None, sha256: str) -> dict[str, Any]:
    """Return the tracker settings of a card, in the form of a cache's header.

    A card that belongs to another file than the one with `sha256` is ignored.
    """
    return card.tracker_settings() if card and card.sha256 == sha256 else {}


def _preprocessor(name: str, options: Options, card: Card | None) -> Any:
    """Return the network's preprocessor.

    Its input size is that of `--input`, else of the weights' card, else of the registry entry.
    """
    entry = NETWORKS[name]
    trained = input_size(card.input) if card and card.input else None
    size = options.input or trained or entry.input_size
    return load(entry.family.preprocessor)(*size)


def _load(name: str, weights: Path, compute: Compute) -> tuple[Any, str]:
    """Load the network onto the device; return it with the sha256 of its checkpoint."""
    loaded = load_network(weights, name)
    network = loaded.network
    if isinstance(network, Deployable):
        network = network.deployed()
    return network.to(compute.device), loaded.checkpoint.sha256


class OneShotPipeline:
    """A network and its preprocessor; detects and embeds in one forward pass."""

    weights_files: Mapping[str, str] = {}

    def __init__(
        self,
        name: str,
        network: Network,
        weights: str,
        preprocessor: Preprocessor,
        compute: Compute,
        min_score: float,
        batch: int,
        runtime: str = EAGER,
        session: Callable[[Any], Network] | None = None,
        occlusion_stride: int = 0,
        fitted: Mapping[str, Any] | None = None,
    ) -> None:
        """Create the pipeline of a loaded network.

        `weights` is the checkpoint's sha256. Detections that score above `min_score` are kept;
        `batch` frames share a forward pass, which `runtime` computes. `session` wraps a recurrent
        network for one sequence. With an `occlusion_stride` above 0, the stride of the heads, the
        heatmaps of occlusion centres are returned too. `fitted` are settings of trackers that fit
        the network.
        """
        self.name, self.weights, self.batch = name, weights, batch
        self.network, self.preprocessor, self.compute = network, preprocessor, compute
        self.runtimes = _runtimes(name, network, weights, preprocessor, compute, batch, runtime)
        # Of all sequences: CUDA has few streams, and a graph must not be captured on a used one.
        self.input, self.decoding = NetworkInput(preprocessor, compute), SideStream(compute)
        self.min_score = min_score
        self.session = session
        self.occlusion_stride = occlusion_stride
        self.fitted = fitted or {}

    def start(
        self,
        sequence: Source,
        warn: Callable[[str], None],
        recorded: Mapping[str, Any] = NO_SETTINGS,
    ) -> "OneShotRun":
        """Start a sequence. Raises `InputError` if it has no images."""
        if not sequence.has_images:
            fix = "add its frames, or track its public detections (--pipeline public)"
            raise InputError(f"{sequence.path} has no images for a network", fix)
        runtime = recorded_runtime(recorded)
        return OneShotRun(self, self.runtimes.start(warn, runtime, sequence.length))


class Inferred(NamedTuple):
    """The raw heads of a batch: width and height of its frames, seconds, the network's timer."""

    heads: dict[str, torch.Tensor]
    sizes: list[tuple[int, int]]
    seconds: float
    timer: DeviceTimer


class OneShotRun(Stages):
    """A one-shot pipeline processing one sequence."""

    needs_pixels = True
    last_frame = 0

    def __init__(self, pipeline: OneShotPipeline, started: Started) -> None:
        self.pipeline = pipeline
        self.needs_all_frames = pipeline.session is not None
        network = started.network
        self.network: Network = pipeline.session(network) if pipeline.session else network
        preprocessor = pipeline.preprocessor
        self.settings: dict[str, Any] = {
            "input": f"{preprocessor.width}x{preprocessor.height}",
            "min_score": pipeline.min_score,
            "precision": str(pipeline.compute.dtype).removeprefix("torch."),
            "runtime": started.runtime,
        }
        if pipeline.occlusion_stride:
            self.settings["occlusion_stride"] = pipeline.occlusion_stride
        self.settings |= pipeline.fitted

    def prepare(self, frame: Frame) -> PreparedFrame:
        """Resize a frame to the network's input."""
        start = perf_counter()
        pixels = self.pipeline.input.prepare(frame.image)
        height, width = frame.image.shape[:2]
        return PreparedFrame(pixels, (width, height), perf_counter() - start)

    @torch.inference_mode()
    def infer(self, prepared: Sequence[PreparedFrame]) -> Inferred:
        """Run the network on a batch of prepared frames, with one forward pass."""
        compute, seconds = self.pipeline.compute, sum(frame.seconds for frame in prepared)
        timer = DeviceTimer(compute)
        with compute.within_memory():
            images = self.pipeline.input.batch([frame.pixels for frame in prepared])
            with compute.autocast():
                heads = self.network.forward(images)
        timer.stop()
        return Inferred(heads, [frame.size for frame in prepared], seconds, timer)

    @torch.inference_mode()
    def finish(self, inferred: Inferred) -> list[tuple[Detections, FrameTimes]]:
        """Decode the detections and embeddings of a batch."""
        frames = len(inferred.sizes)
        network = (inferred.seconds + inferred.timer.seconds()) / frames
        start = perf_counter()
        with self.pipeline.decoding.entered():
            decoded, maps = self._decode(inferred.heads)
        results = [
            self._to_frame(people, size, occlusion)
            for people, size, occlusion in zip(decoded, inferred.sizes, maps, strict=True)
        ]
        times = FrameTimes(network=network, heads=(perf_counter() - start) / frames)
        return [(detections, times) for detections in results]

    def _decode(self, heads: dict[str, torch.Tensor]) -> tuple[list[Decoded], list[Image | None]]:
        """Return the decoded detections of a batch and the occlusion maps to keep."""
        decoded = self.network.decode(heads, self.pipeline.min_score)
        if not self.pipeline.occlusion_stride:
            return decoded, [None] * len(decoded)
        maps = (heads["occlusion"].float().sigmoid()[:, 0] * 255).round().byte()
        return decoded, [*maps.cpu().numpy()]

    def _to_frame(
        self, decoded: Decoded, size: tuple[int, int], occlusion: Image | None
    ) -> Detections:
        """Map the decoded detections of one image from network pixels to those of its frame.

        `size` is the frame's width and height.
        """
        width, height = size
        preprocessor = self.pipeline.preprocessor
        centres = np.zeros((0, 3), np.float32)
        if decoded.occlusion_centres is not None:
            centres = decoded.occlusion_centres.numpy()  # (k, 3)
            centres[:, :2] = preprocessor.to_frame(centres[:, :2], width, height)
        points = offsets = None
        if decoded.centres is not None and decoded.offsets is not None:
            before = preprocessor.to_frame(
                (decoded.centres + decoded.offsets).numpy(), width, height
            )
            points = preprocessor.to_frame(decoded.centres.numpy(), width, height)
            offsets = before - points
        embeddings = decoded.embeddings
        return Detections(
            boxes=preprocessor.to_frame(decoded.boxes.numpy(), width, height),
            scores=decoded.scores.numpy(),
            classes=decoded.classes.numpy().astype(np.uint16),
            embeddings=None if embeddings is None else embeddings.numpy(),
            occlusion_centres=centres,
            centres=points,
            offsets=offsets,
            occlusion_map=occlusion,
        )


class NetworkEmbedder:
    """Embeddings of a one-shot network, read at boxes from another detector."""

    def __init__(
        self,
        name: str,
        network: EmbeddingNetwork,
        weights: str,
        preprocessor: Letterbox,
        compute: Compute,
        frames: int = 1,
        runtime: str = EAGER,
    ) -> None:
        """Create the embedder of a loaded network; `weights` is the checkpoint's sha256.

        `frames` of a sequence share a forward pass, which `runtime` computes.
        """
        self.name, self.weights = name, weights
        self.network, self.preprocessor, self.compute = network, preprocessor, compute
        self.frames = frames
        self.runtimes = _runtimes(name, network, weights, preprocessor, compute, frames, runtime)
        self.settings: dict[str, Any] = {"input": f"{preprocessor.width}x{preprocessor.height}"}
        self._input = NetworkInput(preprocessor, compute)

    def start(
        self, warn: Callable[[str], None], recorded: str = "", images: int | None = None
    ) -> None:
        """Take the runtime of a sequence; `recorded` is that of the cache that is resumed."""
        self.settings["runtime"], self.network = self.runtimes.start(warn, recorded, images)

    @torch.inference_mode()
    def heads(self, images: Sequence[Image]) -> dict[str, torch.Tensor]:
        """Run the network on frames (h, w, 3) and return its raw heads, batched."""
        prepared = [self._input.prepare(image) for image in images]
        with self.compute.within_memory(), self.compute.autocast():
            return self.network.forward(self._input.batch(prepared))

    @torch.inference_mode()
    def embed(self, images: Sequence[Image], boxes: Sequence[Floats]) -> list[Floats]:
        """Embed the boxes (n, 4) of each frame: one (n, D) array per frame, L2-normalised.

        Boxes are x1 y1 x2 y2 in frame pixels. All frames share a forward pass.
        """
        mapped = []
        for image, rows in zip(images, boxes, strict=True):
            height, width = image.shape[:2]
            on_input = self.preprocessor.from_frame(rows, width, height)
            mapped.append(self.compute.upload([on_input])[0])
        heads = self.heads(images)
        return [rows.numpy() for rows in to_host(self.network.embed_at(heads, mapped))]


def _runtimes(
    name: str,
    network: Any,
    weights: str,
    preprocessor: Preprocessor,
    compute: Compute,
    batch: int,
    runtime: str,
) -> Runtimes:
    """Return the runtimes of a network at the size of its preprocessor."""
    size = preprocessor.width, preprocessor.height
    channels = getattr(network, "input_channels", (3,))
    loaded = LoadedNetwork(name, weights, network, compute, size, batch, channels)
    return Runtimes(loaded, runtime)
