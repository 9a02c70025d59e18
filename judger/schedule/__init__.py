"""When a case is judged, and with whom: from a caller's ticket to one run of the engine.

ticket      whose work it is, and the room that is held        lanes       lines that share an engine by weight
admission   refused at once, let in, or in line for room       pace        what the engine does in a second
inflight    identical criteria are judged once                 turns       so much at a time, by lane
planning    cases are made ready for the engine                queue       planned cases that wait, and the next batch
batcher     micro-batches for an engine on one device          direct      engines that batch by themselves
inhand      how many bytes of requests a caller may have       keeper      a dead engine is restarted
isolation   one bad case takes no other down                   device      threads that may never end
pending     whoever waits is told of the end
"""
