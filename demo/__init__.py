"""The demonstration: a year of real flights, delivered day by day as an upstream system would."""
