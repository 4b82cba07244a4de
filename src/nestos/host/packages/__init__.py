"""Package backends: real resolvers and package databases behind one small interface, one file a backend."""
