"""Fuzzing: stimuli drawn at random, judged by the rules and by the model.

Drawn octets are decoded by tables into steps, steps are played against the target, and what
breaks a rule is played again, made as short as it goes, and written as a scenario. Hypothesis
is imported where octets are drawn, and nowhere else.
"""
