"""The stage ``serveprofile``. Nothing is imported here: the measuring processes hold what they need and no more."""
