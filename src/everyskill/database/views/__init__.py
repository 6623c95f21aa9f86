"""Who saw which skill: asking about views, recording them, and visits."""
