"""Who is measured. Each module opens at a URL and gives the same calls by the same names."""
