"""The ground floor: declarations, statistics, gates and decisions. Pure: standard library, numpy and scipy only."""
