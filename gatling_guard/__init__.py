"""Guards tool-calling LLM agents."""
