"""The workshop: one file a step, one public function each. A step is safe to run twice."""
