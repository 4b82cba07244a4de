"""Rules of validity, one module per kind of object; each function reports what is wrong with one object."""
