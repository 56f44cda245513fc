"""Every numbered claim of arXiv 2506.16456, executed, with a verdict computed from the numbers."""

from ntklab.claims import Paper, Topic

#: Every claim belongs to one topic; a test counts them.
TOPICS: tuple[Topic, ...] = (
    Topic(
        "The paper's formalism, its definitions and chain rules,",
        "eq12",
        ("eq01", "eq02", "eq03", "eq04", "eq06", "eq11", "eq17", "eq23", "eq25"),
    ),
    Topic(
        "The claim that TensorGuide's kernel has the larger smallest eigenvalue",
        "eq13",
        ("eq24", "eq27", "eq29"),
    ),
    Topic(
        "The claim that a larger smallest eigenvalue means easier training and better "
        "generalization",
        "thesis_lambda_min",
    ),
    Topic(
        "The claim that the tensor train's tangent map is injective and well conditioned",
        "eq28",
        ("eq26",),
    ),
    Topic(
        "The claim that training error falls as exp(−λ_min t)",
        "eq10",
        ("eq14", "eq16", "eq22"),
    ),
    Topic(
        "The bound by which the smallest eigenvalue is to control generalization",
        "eq21",
        ("eq15", "eq18", "eq19", "eq20"),
    ),
    Topic(
        "The bound by which width and TT-ranks are to control the approximation error",
        "eq09",
        ("eq05", "eq07", "eq08"),
    ),
    Topic(
        "The claim that TensorGuide classifies better than LoRA and TT-LoRA",
        "table1",
        ("fig4",),
    ),
    Topic(
        "The claim that a wider hidden layer makes it more expressive",
        "table2",
        ("fig5", "fig6"),
        also=("the claim that larger TT-ranks make it more accurate", "table5"),
    ),
    Topic(
        "The claim of lower perplexity than LoRA's at smaller budgets",
        "table3",
    ),
    Topic(
        "The claim that TensorGuide costs less than LoRA to run",
        "table4",
        ("algorithm1",),
    ),
)

PAPER = Paper(
    "Joint Tensor-Train Parameterization for Efficient and Expressive Low-Rank Adaptation",
    source="arXiv 2506.16456",
    about="TensorGuide: one tensor train generates both factors of a low-rank update. Every "
    "numbered equation, table and figure of the paper is a claim here.",
    topics=TOPICS,
)
