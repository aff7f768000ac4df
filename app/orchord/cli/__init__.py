"""The ``orchord`` command.

Each sub-command lives in its own module, imported only when it is called; main.py has the list of them.
"""
