"""What this machine is configured for, as its own clients have it: read here, and passed into containers."""
