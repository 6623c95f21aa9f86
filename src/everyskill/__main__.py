"""`python -m everyskill` is the command `everyskill`."""

from everyskill.cli import main

main()
