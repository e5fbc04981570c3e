"""Check what a run needs before it is started; nothing is changed."""
