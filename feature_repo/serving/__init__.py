"""What is stored, offered to others: databases of their choice, an HTTP server, Arrow Flight."""
