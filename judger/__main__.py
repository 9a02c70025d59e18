"""`python -m judger`: the command line, where its script is not on the path."""

import sys

from judger.cli import main

sys.exit(main())
