"""The spike network alone, under synthetic traffic: patterns with their bounds, and a compiled mesh of routers."""
