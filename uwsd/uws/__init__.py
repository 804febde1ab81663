"""Universal Worker Service 1.1. Knows nothing of backends or capabilities."""
