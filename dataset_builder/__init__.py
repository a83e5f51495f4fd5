"""Builds a TWOLAR dataset: corpus → queries → pools → a teacher's rankings → Parquet and its card."""
