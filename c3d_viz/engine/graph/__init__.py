"""The explicit engine: networks whose every step is known, walked back step by step."""
