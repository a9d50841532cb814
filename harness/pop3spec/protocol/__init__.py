"""What POP3 bytes mean: no I/O, no clock, no verdict."""
