"""Training of one stage's network: the loop, what it is given, when it stops, and what a checkpoint keeps."""
