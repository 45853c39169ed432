"""Core: what a video shows. Clips with sound, embeddings, alignment measures."""
