"""The engine: starts training processes, passes the baton, watches, collects. It prints nothing."""
