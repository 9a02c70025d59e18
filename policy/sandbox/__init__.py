"""Where the agent's shell runs: the `walls` (bubblewrap), its `cgroup`, what a killed process left (`leftovers`)."""
