"""Tools and vehicles."""
