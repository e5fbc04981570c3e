"""mtkd: distil many teachers into one student."""

__version__ = "0.1.0"
