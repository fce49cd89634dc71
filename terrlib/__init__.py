"""Plan sales territories: who sells where, to whom, how, for how much, and by when."""
