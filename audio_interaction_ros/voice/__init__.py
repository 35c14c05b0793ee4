"""What is said aloud: in which pieces, in which order, by which engine, and through which output."""
