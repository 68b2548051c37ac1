"""One module per page: widgets only."""
