"""What jobs find out, as models: one module for each kind of job. docs/architecture.md says where they are checked."""
