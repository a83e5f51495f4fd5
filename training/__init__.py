"""What `train_hf.py` is made of: arguments, data, losses, and the Trainer that puts them together."""
