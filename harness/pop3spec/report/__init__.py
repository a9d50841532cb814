"""Outcomes -> JUnit, results.json, the page, the summary and the exit code.

A row is plain data that may have crossed a process border. Every report is a
function of rows.
"""
