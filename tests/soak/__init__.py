"""A soak: mixed load at twice the capacity with cancels, missed deadlines, killed clients, engine deaths and restarts.

    python -m tests.soak [--minutes 30] [--json FILE]           `make soak`; tests/judger/test_soak.py runs a short form

The server is `judger serve` in a process of its own, with a cache file, ended by SIGTERM and started again on the same
port. Clients are processes too, of which some are killed. Each answer that a client acknowledged is written down;
afterwards it is held against a quiet re-run on a fresh server, and the old server's cache is asked whether it has it.
"""
