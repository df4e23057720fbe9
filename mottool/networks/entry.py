"""What a network's declaration consists of."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mottool.networks.learning import Augmentation, Recipe
from mottool.settings import Settings

__all__ = ["NetworkEntry", "NetworkFamily", "Signature"]


@dataclass(frozen=True)
class Signature:
    """Tensor names that identify a checkpoint: all of `present` and none of `absent`."""

    present: frozenset[str]
    absent: frozenset[str] = frozenset()

    @classmethod
    def of(cls, *present: str, absent: tuple[str, ...] = ()) -> "Signature":
        """Create a signature from names."""
        return cls(frozenset(present), frozenset(absent))

    def matches(self, names: frozenset[str]) -> bool:
        """Return whether the tensors of a checkpoint have such names."""
        return self.present <= names and self.absent.isdisjoint(names)


@dataclass(frozen=True)
class NetworkFamily:
    """What the networks of one paper have in common.

    Strings of the form `module:name` are imported when they are used, never before.

    `title` is the name in help texts. `network` is a class with
    `from_checkpoint(tensors, **arguments)`, and `preprocessor` a class made of the width and height
    of the network's input in pixels. `learner` trains the network ("" for inference only) with the
    flags `learning`, the schedule `recipe` and the ranges `augmentation`; validation uses
    `tracker`. `session` wraps a recurrent network for one sequence ("" if frames are independent).
    With `darknet`, darknet's `.weights` files are read too. Detections that score above `min_score`
    are kept. `embeds` and `occlusion` state whether there are heads of embeddings and of occlusion
    centres, and `distills` whether the network learns from `distill-labels`.
    """

    title: str
    network: str
    preprocessor: str
    learner: str = ""
    learning: type[Settings] = Settings
    recipe: Recipe | None = None
    augmentation: Augmentation = Augmentation()
    tracker: str = "fairmot"
    session: str = ""
    darknet: bool = False
    min_score: float = 0.1
    embeds: bool = True
    occlusion: bool = False
    distills: bool = False


@dataclass(frozen=True)
class NetworkEntry:
    """One network that a user can name.

    `name` is also its key in `weights/manifest.toml`. `input_size` is the width and height that it
    was published with. `signatures` identify checkpoints with its authors' tensor names or with
    ours. `embedding_map` is the raw head, the finest of several, that holds an embedding for every
    cell of the image ("" if only boxes have embeddings). `detector` is the part of the network that
    scores the cells of the same stride; its input are the detection features ("" without
    `embedding_map`). `torchvision_backbone` is torchvision's name of the network whose ImageNet
    weights fit the backbone ("" if there is none). `bundled` is the file in `mottool.weights` that
    is used without `--weights` ("" if there is none).
    """

    name: str
    family: NetworkFamily
    input_size: tuple[int, int]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    signatures: tuple[Signature, ...] = ()
    embedding_map: str = ""
    detector: str = ""
    torchvision_backbone: str = ""
    bundled: str = ""
