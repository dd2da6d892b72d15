"""Behaviours: servers, supervisors and their kin, written only with the public verbs."""
