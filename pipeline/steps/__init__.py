"""The workshop: one file a step, with the function of its name. A step is safe to run twice."""
