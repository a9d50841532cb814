"""python -m pop3spec."""

import sys

from pop3spec.cli import main

sys.exit(main())
