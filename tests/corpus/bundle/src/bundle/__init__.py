"""A package whose second native module loads only when asked for."""
