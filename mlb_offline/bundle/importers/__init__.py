"""Importers: foreign files of items → datasets of a source folder.

In: the authors' official files (``mlb``), CMExam spreadsheets (``cmexam``), or any JSON Lines, CSV or XLSX table
with a TOML mapping (``table``). Out: ``Imported``: typed datasets, how many rows were read, every row refused.
May fail: ``InputError`` for a file that cannot be read at all. A row that cannot be read is refused with file,
row and reason, never guessed and never dropped in silence.
"""
