"""How much of what is known to be wrong under threads each way of looking finds, and what it blames wrongly."""
