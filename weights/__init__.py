"""The bundled checkpoints, their cards, and the manifest of where every other one comes from."""
