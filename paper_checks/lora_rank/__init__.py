"""Which rank LoRA needs in the kernel regime: two papers, judged beside each other."""

from ntklab.claims import Paper, Topic

PAPER = Paper(
    "LoRA Training in the NTK Regime has No Spurious Local Minima, and its answer, Rethinking the "
    "Rank Threshold for LoRA Fine-Tuning",
    source="arXiv 2402.11867 and arXiv 2605.03724",
    about="The first paper proves that r(r+1)/2 > KN keeps the linearized, weight-decayed loss of "
    "LoRA free of spurious minima. The second says that a count of dimensions, r(m+n) − r² > "
    "1.35·KN, is enough, that cross-entropy needs no threshold, and that rank one is best for two "
    "classes. Each statement is decided on landscapes small enough for certificates: the whole "
    "Hessian, a dual certificate of the global minimum, and exact arithmetic where a "
    "counterexample must be a proof.",
    topics=(
        Topic(
            "The claim that r(r+1)/2 > KN leaves no spurious minima",
            "no_spurious",
            ("low_rank_solution", "without_perturbation"),
            also=("the reading that this is the rank to choose", "threshold"),
        ),
        Topic(
            "The claim that a count of dimensions replaces that threshold",
            "dimension_count",
            ("critical_constant",),
        ),
        Topic("The claim that cross-entropy needs no threshold", "cross_entropy"),
        Topic("The claim that rank one is best for two classes alone", "rank_one_variance"),
        Topic("The bound on the risk of the decayed solution", "generalization"),
        Topic("The supposition that few-shot prompts keep LoRA in that regime", "kernel_regime"),
    ),
)
