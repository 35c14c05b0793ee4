"""Scripts into sound: TFJP, the mix of Algorithm 4, and the record of what is where."""
