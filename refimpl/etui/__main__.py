"""`python -m etui`: the command `etui`."""

import sys

from etui.cli import main

sys.exit(main())
