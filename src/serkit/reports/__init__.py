"""Reports for people: charts and pages of runs, and tables of several runs."""
