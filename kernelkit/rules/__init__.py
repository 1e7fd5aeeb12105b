"""Pure decisions: data and `now` in, data out. No clock, no database, no network."""
