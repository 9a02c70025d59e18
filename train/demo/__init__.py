"""`make train-demo`: the whole path on a CPU, from an empty folder to a table of the stages."""
