"""`python -m cli` is `interest-graph`."""

from .main import main

main()
