"""What every other layer stands on: errors, findings, paths, durable writes, the clock and the log."""
