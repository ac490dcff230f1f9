"""The page of a verdict and of a refusal, its drawings, and its short form for MLflow."""
