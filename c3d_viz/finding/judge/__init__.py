"""From numbers to controls, T and the verdict. No network, no pixels of a map."""
