"""What trainings read: the items of an experiment and the features stored for them."""
