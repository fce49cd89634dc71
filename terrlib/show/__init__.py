"""Tables become things to look at; computes nothing."""
