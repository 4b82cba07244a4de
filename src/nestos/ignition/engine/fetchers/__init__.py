"""One module for each way to fetch; ``nestos.ignition.engine.parts`` says which scheme is whose."""
