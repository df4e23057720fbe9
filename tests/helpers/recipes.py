"""Settings that make a training short, and an untrained student."""

from mottool.checkpoints.cards import save_weights
from mottool.models.tdt import TDT

__all__ = ["QUICK", "fresh_student"]

QUICK = "--epochs 1 --batch 2 --input 64x64 --workers 0 --device cpu --lr 1e-4"


def fresh_student(folder):
    path = folder / "fresh.safetensors"
    save_weights(path, TDT("tdt-mobilenet", 32).state_dict(), "tdt-mobilenet", "a test")
    return path
