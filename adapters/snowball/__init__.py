"""Index terms by the Snowball stemmers."""
