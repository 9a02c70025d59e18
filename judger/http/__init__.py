"""The gateway: the same judge in JSON over HTTP, for those who don't speak gRPC.

    routes     which path is which door                           app.py
    doors      JSON -> a request -> the judge -> JSON             doors.py, and pure: rewards, decisions, systemone
    calls      the judge behind it: a server, or the one in here  calls.py, paying.py
    reception  what every request passes: caller, body, its end   reception.py
    edges      bodies, deadlines, callers who leave, errors       edges.py, bodies.py, errors.py
    process    the listening socket, TLS, the end                 process.py, connections.py

A request goes the way of gRPC: the same service admits, judges, counts and logs it. Nothing is judged here.
"""
