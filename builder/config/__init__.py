"""What the farm is configured by: the matrix, and the tables of bases and interpreters."""
