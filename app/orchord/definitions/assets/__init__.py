"""Assets: definitions of data that steps make, how they depend on each other, and which of them a job makes.

Each noun has its module. How assets are executed is in execution/; what the console sees of them, in snapshot.py.
"""
