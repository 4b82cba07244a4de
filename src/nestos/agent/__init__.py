"""The update agent: asks for releases, takes them, restarts the node when it may, and says what it waits for."""
