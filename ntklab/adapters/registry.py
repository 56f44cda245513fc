"""Methods by name: one line an adapter. Names are known before any class is loaded."""

from typing import Any

from ntklab.registry import Place, Registry

_HERE = "ntklab.adapters"

#: Classes of adapters by name. One of your own joins them by `METHODS["mine"] = MyAdapter`.
METHODS: Registry[Any] = Registry(
    "method",
    {
        "lora": Place(f"{_HERE}.lora", "LoRA", label="LoRA"),
        "tt-lora": Place(f"{_HERE}.tt_lora", "TTLoRA", label="TT-LoRA"),
        "tensorguide": Place(f"{_HERE}.tensorguide", "TensorGuide", label="TensorGuide"),
        "tt-delta": Place(f"{_HERE}.tt_delta", "TTDelta", label="TT-Delta"),
        "tera": Place(f"{_HERE}.tera", "TeRA", label="TeRA"),
        "linear-probe": Place(f"{_HERE}.linear_probe", "LinearProbe", label="linear probe"),
    },
)
