"""Which of the admissible changes to make: pymoo's problem and operators over vectors of integers, and the allocation of a budget."""
