"""The generators of the seven abilities are one module each (paper §3.3); tasks.yaml names them."""
