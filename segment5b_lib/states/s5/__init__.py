"""S5: what was written is checked, and the validation bundle is sealed."""
