"""mtkd: distill many teachers into one student."""

__version__ = "0.2.0"
