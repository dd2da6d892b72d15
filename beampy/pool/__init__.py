"""Elastic executors: mark a call, get machines. `Pool` is pool.py's; what a backend implements is backend.py's."""
