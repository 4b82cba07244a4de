"""One module for each platform: ``fetch_config(job)`` returns the bytes of its config, or none where it has none."""
