"""What a build is: its settings, and the folder it fills."""
