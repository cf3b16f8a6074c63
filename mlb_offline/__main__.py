"""``python -m mlb_offline`` is the command ``mlb-offline``."""

from mlb_offline.cli import program

program()
