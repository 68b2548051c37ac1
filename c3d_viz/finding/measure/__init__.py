"""What a clip shows, what networks do with it: numbers by clip, network and unit."""
