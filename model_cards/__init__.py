"""Model cards filled from the files that runs wrote, and the command that publishes to the Hub."""
