"""What to take: of the admissible changes to a network, and of the architectures of a space."""
