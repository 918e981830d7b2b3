"""A second index for when the first does not answer."""
