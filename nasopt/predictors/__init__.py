"""How good and how fast a candidate would be, without training or running it."""
