"""What the tests build their stages with."""
