"""``python -m ntklab.tasks.wikitext [CACHE]``: fetch SmolLM2-135M and print where it lies."""

import sys

from ntklab.tasks.wikitext.fetch import fetch_smollm2

if __name__ == "__main__":
    print(fetch_smollm2(sys.argv[1] if len(sys.argv) > 1 else None))
