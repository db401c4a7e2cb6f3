"""Where data lives: roots, documents, Parquet, digests, locks, atomic publish, worlds and runs."""
