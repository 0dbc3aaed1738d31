"""What people read: the report of a run, the table of several runs, and the card of a bundle."""
