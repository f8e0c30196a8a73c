"""Programs that read wheels and systems without running anything of them. They run in containers, and in `check`."""
