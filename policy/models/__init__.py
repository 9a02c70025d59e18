"""The models behind `policy.model.Model`: scripted, an OpenAI-compatible endpoint, transformers in this process."""
