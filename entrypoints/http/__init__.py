"""The REST door: translates HTTP into a use case and back."""
