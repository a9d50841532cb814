"""Real POP3 servers to judge: each installed into a root or an environment of its own."""
