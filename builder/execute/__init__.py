"""Running a plan."""

from builder.execute.local import LocalExecutor
from builder.execute.observer import Observer

__all__ = ["LocalExecutor", "Observer"]
