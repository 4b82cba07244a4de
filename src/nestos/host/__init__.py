"""The machine a program runs on: processes, mounts, block devices, systemd, boot loaders, package managers."""
