"""The words study with a second pretrained language model."""
