"""The last step: rankings become Parquet with a card."""
