"""The judge on Ray Serve: `app` (what is deployed), `config` (its settings), `replica` (the service in one replica),
`ingress` and `hop` (in Serve's proxies), `calls` (a call as a replica sees it), `run` (`judger serve --ray`).
"""
