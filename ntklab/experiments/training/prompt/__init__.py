"""Fine-tuning a language model on few sentences, beside what its kernel at the start predicts."""
