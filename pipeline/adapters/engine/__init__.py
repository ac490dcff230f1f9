"""The Engine port on Polars: features of a day, of a training window and of one request, computed by one engine."""
