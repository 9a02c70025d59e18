"""GRPO through TRL's trainer, on the same episodes and rewards as PPO."""
