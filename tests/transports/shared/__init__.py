"""One suite for every transport and every server: what holds over one of them holds over all."""
