"""The real world: recordings of four scenes, heard beside a synthetic twin of each (paper A.1)."""
