"""The activity gate: where in a recording something ultrasonic may be."""
