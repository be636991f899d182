"""What a run would take, said before anything starts."""
