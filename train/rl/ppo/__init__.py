"""PPO with a learned critic, on accelerate."""
