"""Activity: passes, nights and how much was recorded in them."""
