"""Compares settings of `train_hf.py` over judged queries: each is ranked by a student that was trained without it."""
