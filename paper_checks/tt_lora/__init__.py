"""Claims of arXiv 2408.01008 that a computation can decide."""

from ntklab.claims import Paper, Topic

PAPER = Paper(
    "Tensor Train Low-rank Approximation (TT-LoRA): Democratizing AI with Accelerated LLMs",
    source="arXiv 2408.01008",
    about="TT-LoRA: the update of a weight matrix is itself a tensor train, without factors. "
    "Claims on accuracy rest on the records of a prompt task.",
    topics=(
        Topic("The claim of 2 % of LoRA's parameters", "published_counts"),
        Topic("The claim of a smaller adapter at the same expressiveness", "compression"),
        Topic("The claim of faster inference", "latency"),
        Topic(
            "The claim of LoRA's accuracy at many times fewer parameters",
            "tt_lora_accuracy",
            also=("the claim that shape and rank of the train matter", "tt_lora_shapes"),
        ),
    ),
)
