"""Run launchers beside the Celery one: each says where a run goes that is one unit of work, and with what settings.

The Celery launcher, which all of them extend, is orchord_workers.launcher; who starts containers is launching/.
"""
