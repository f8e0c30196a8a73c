"""From files of dependencies to a matrix: resolve, select, survey."""
