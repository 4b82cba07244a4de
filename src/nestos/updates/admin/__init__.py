"""How operators steer releases from elsewhere: an API for programs and a page for people."""
