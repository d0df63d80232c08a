"""The benchmark: tasks, methods, runs, boards."""
