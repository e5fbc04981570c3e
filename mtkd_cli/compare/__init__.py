"""Train many students from one recording and say which are better, and how sure that is."""
