"""The one command `twolar`, over the modules of the other rooms."""
