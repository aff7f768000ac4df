"""The job that is queued by the thousand: one op that does nothing, so that what is measured is the queue.

What is measured with it is daemon_queue.py.
"""

from orchord import Definitions, job, op


@op
def nothing():
    pass


@job
def short():
    nothing()


defs = Definitions(jobs=[short])
