"""Labels by which the farm finds what it made in the engine, and removes nothing else."""

LABEL = "wheelfarm.farm"
"""Label of containers and networks: the id of the farm that owns them. Of images: `image`."""

RUN_LABEL = "wheelfarm.run"
"""Label of containers and networks: the run that started them."""

JOB_LABEL = "wheelfarm.job"
"""Label of containers that a tool starts for a job: which call of the tool."""
