"""Claims of arXiv 2210.05643 that fine-tuning runs can decide."""

from ntklab.claims import Paper, Topic

PAPER = Paper(
    "A Kernel-Based View of Language Model Fine-Tuning",
    source="arXiv 2210.05643",
    about="With a prompt, fine-tuning a pretrained language model often follows its kernel at the "
    "start. The abstract and the authors' code reached us; there: masked models, full and LoRA "
    "fine-tuning. Here a causal model, and every method of the panel.",
    topics=(
        Topic(
            "The claim that the kernel at the start is as accurate as fine-tuning",
            "kernel_view",
            also=("the claim that linearization explains what fine-tuning gains", "linearized"),
        ),
    ),
)
