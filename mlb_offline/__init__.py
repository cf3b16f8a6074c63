"""mlb-offline: evaluate a medical language model on the MLB benchmark, air-gapped, with a signed report.

The way of the data is the order of the packages: ``bundle`` → ``benchmark`` (items, prompts) → ``target``
→ ``scoring`` → ``run`` (engine, store) → ``stats`` → ``policy`` → ``report``; ``trust`` holds the keys and
signatures. Importing this package imports nothing else.
"""

__version__ = "0.1.0"
