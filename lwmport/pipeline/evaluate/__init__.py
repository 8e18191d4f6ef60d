"""What models say, judged: answers of two devices held against each other."""
