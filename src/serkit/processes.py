"""Processes that others have started."""

from __future__ import annotations

import os


def end_with_parent() -> None:
    """End this worker as soon as the process that started it has ended, however that came.

    Otherwise the workers of one that was killed would wait for ever, or train on unseen, beside the run that takes up
    its work.
    """
    # Here, because `serkit predict` starts no process and imports this file.
    import multiprocessing
    import threading

    def watch() -> None:
        parent = multiprocessing.parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
