"""The language model's stages before reinforcement learning: a tiny model to begin with, mid-training, fine-tuning."""
