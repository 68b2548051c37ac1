"""The figure for one clip, and the report of the test."""
