"""Boot loaders: their configuration, their images and their state files, one file per loader and part."""
