"""Suites: many training runs and their exams as one plan, run cell by cell."""
