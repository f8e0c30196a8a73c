"""What is on record of an application -> which steps of its move are done, and what comes next. Pure."""
