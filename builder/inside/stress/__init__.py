"""Programs that put a package under threads, and measure it.

They run in containers, by `python -m inside.stress.race` and the like: race, exercise, speed and replay are asked by
the farm. Each room imports only those before it:

- sanitizer: reads reports of ThreadSanitizer, and says which function is at fault;
- process: interpreters, their limits, and what they answer;
- calls, package: what can be called with what values, and how a package is installed;
- learn: finds out which calls end well;
- play: plans what threads do, and lets them do it;
- own_tests, proof, measure: a package's own tests, programs that show a fault again, and calls a second.
"""
