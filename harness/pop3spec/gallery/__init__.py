"""The gallery: what real servers do, rule by rule, as static pages.

`build` reads and writes; what is shown is made of frozen values by pure functions.
"""
