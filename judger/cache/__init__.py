"""What was judged once is not judged again: `verdicts` in memory, over a file (`sqlite`) or shared (`redis`)."""
