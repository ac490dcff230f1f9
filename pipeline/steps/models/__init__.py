"""Fitted models and what they answer: the champion, fits of recipes, predictions."""
