"""What data looks like: datasets, policies, words. Computes nothing."""
