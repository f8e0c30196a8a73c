"""Running a plan."""

from builder.execute.executor import LocalExecutor
from builder.execute.observer import Observer

__all__ = ["LocalExecutor", "Observer"]
