"""What is given to other programs and taken from them: one file per format."""
