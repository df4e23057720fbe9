"""MOTChallenge sequences of rows only: people who walk to the right, without frames."""

from pathlib import Path

__all__ = ["rowed", "rowed_pair", "texts"]

SEQINFO = "[Sequence]\nname={name}\nseqLength={frames}\nframeRate=25\nimWidth=640\nimHeight=480\n"


def rowed(folder: Path, frames: int = 6, people: int = 2, left: int = 0) -> Path:
    """Write a sequence with ground truth and public detections; people start at `left`."""
    for name in ("gt", "det"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "seqinfo.ini").write_text(SEQINFO.format(name=folder.name, frames=frames))
    boxes = [
        (frame, person, f"{left + 4 * frame + 150 * person},100,50,120")
        for frame in range(1, frames + 1)
        for person in range(1, people + 1)
    ]
    truth = [f"{frame},{person},{box},1,1,1" for frame, person, box in boxes]
    found = [f"{frame},-1,{box},0.9" for frame, _, box in boxes]
    (folder / "gt/gt.txt").write_text("\n".join(truth) + "\n")
    (folder / "det/det.txt").write_text("\n".join(found) + "\n")
    return folder


def rowed_pair(folder: Path) -> None:
    """Write the sequences a and b to a folder; their people start at different places."""
    for name, left in (("a", 0), ("b", 40)):
        rowed(folder / name, left=left)


def texts(folder: Path, *names: str, content: str = "1,1,10,10,20,40,1,-1,-1,-1\n") -> Path:
    """Write files of rows, and return the folder."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder
