"""What recall is made of."""
