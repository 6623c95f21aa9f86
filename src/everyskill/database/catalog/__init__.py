"""Skills, their versions and feedback, and the moments at which changes become visible."""
