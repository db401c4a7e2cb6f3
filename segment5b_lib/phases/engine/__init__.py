"""What every phase shares: order, attempts, envelope, definition of done, decision, pages."""
