"""The agent, its tools and its reward as environments of other trainers: the same episode as `judger-train rl` runs.

    verifiers    a taskset and a harness, which prime-rl trains on, too: `vf.load_environment`
    skyrl        a text environment of SkyRL-gym, turn by turn

Each needs its own library and the agent, no torch. Where the trainer takes an agent loop instead, see `train.verl`.
"""
