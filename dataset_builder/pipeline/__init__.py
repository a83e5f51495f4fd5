"""The stages of a build, and where they run."""
