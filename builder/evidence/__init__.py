"""What jobs find out, as models: one module for each kind of job. docs/architecture.md says where they are checked.

Race and exercise jobs share what is in `scenarios`, `events` and `own_tests`.
"""
