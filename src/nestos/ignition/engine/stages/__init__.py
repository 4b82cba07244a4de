"""One module for each stage, with ``run(job)``; a stage that returns has succeeded."""
