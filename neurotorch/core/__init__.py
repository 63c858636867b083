"""What every room rests on: the step vocabulary, checks, seeds, configuration and safe storage."""
