"""Search for symbolic programs under a length prior, and proof of what they compute."""
