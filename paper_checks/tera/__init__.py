"""Claims of arXiv 2509.03234 that a computation can decide."""

from ntklab.claims import Paper, Topic

PAPER = Paper(
    "TeRA: Vector-based Random Tensor Network for High-Rank Adaptation of Large Language Models",
    source="arXiv 2509.03234",
    about="TeRA trains only the vectors that scale frozen random factors of a tensor network. "
    "Claims on accuracy rest on the records of a prompt task; published tables did not reach us.",
    topics=(
        Topic("The claim that TeRA's update has a high rank at few parameters", "rank"),
        Topic("The claim that it trains as few parameters as vector-based methods", "parameters"),
        Topic(
            "The claim that it matches high-rank adapters",
            "tera_accuracy",
            also=("the reading that sharing its factors costs nothing", "tera_sharing"),
        ),
    ),
)
