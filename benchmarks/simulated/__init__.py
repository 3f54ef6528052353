"""Simulated LMs whose response to a template's wording is known; know nothing of who tunes."""
