"""Others' judges and ours: same model, same cases, same machine, one run (`make bench-peers`).

`__main__` measures, `systems` says who takes part, `ask_peer` and `ask_ours` are the processes that judge, `faults` is
the proxy that breaks an endpoint, `machine` reads tokens and memory.
"""
