"""What threads showed of a package -> findings, and how much it proves. Pure."""
