"""`python -m velatura`, for hosts that know the interpreter and not the script."""

from velatura.cli.main import main

raise SystemExit(main())
