"""When a case is judged, and with whom: from a caller's ticket to one run of the engine.

admission   refused at once, or let in: room and pace          lanes       queues that share an engine by weight
inflight    identical criteria are judged once                 queue       planned cases that wait, and the next batch
batcher     micro-batches for an engine on one device          direct      engines that batch by themselves
isolation   one bad case takes no other down                   keeper      a dead engine is restarted
device      the one thread that runs the model
"""
