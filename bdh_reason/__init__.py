"""bdh-reason: which architectures can reason inside their latent state? Everything is imported on demand."""

__version__ = "0.1.0"
