"""Claims of arXiv 2602.08239 that fine-tuning runs can decide."""

from ntklab.claims import Paper, Topic

PAPER = Paper(
    "Linearization Explains Fine-Tuning in Large Language Models",
    source="arXiv 2602.08239",
    about="Fine-tuning near the pretrained model is learning with the neural tangent kernel, whose "
    "eigenvalues are said to foretell performance. Reconstructed from the abstract and a published "
    "summary: LoRA on RoBERTa-base, the choice of layers varied; its tables did not reach us. Here "
    "LoRA on choices of layers of a causal model, and then all methods.",
    topics=(
        Topic(
            "The claim that the kernel's condition number foretells loss and accuracy",
            "condition_predicts",
            also=("the reading that it ranks methods", "across_methods"),
        ),
    ),
)
