"""Long work: asked for, run once, resumed, taken over."""
