"""`make demo`: a server with the built-in judge, and real reports judged over gRPC, as a table to read."""

import sys

from judger.cli import main
from judger.demo import CASES

if __name__ == "__main__":
    sys.exit(main(["score", str(CASES), "--engine", "mini", "--judge-all", *sys.argv[1:]]))
