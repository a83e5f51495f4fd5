"""The first step: queries made out of passages, and those that are dropped."""
